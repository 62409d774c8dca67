"""Labs that share one machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ci.lab.errors import LabFault
from ci.lab.registry import Entry, Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "labs")


def folder(tmp_path: Path, checkout: str, lab: str) -> Path:
    made = tmp_path / checkout / ".lab" / lab
    made.mkdir(parents=True, exist_ok=True)
    return made


def test_labs_of_different_names_get_different_subnets(registry: Registry, tmp_path: Path):
    slots = [
        registry.claim(name, folder(tmp_path, "a", name), ip_forward="0").slot
        for name in ("lab", "lab2", "other")
    ]
    assert slots == [0, 1, 2]


def test_the_same_checkout_finds_its_lab_again(registry: Registry, tmp_path: Path):
    home = folder(tmp_path, "a", "lab")
    first = registry.claim("lab", home, ip_forward="0")
    assert registry.claim("lab", home, ip_forward="1") == first


def test_a_name_that_is_up_elsewhere_is_refused_with_the_way_out(
    registry: Registry, tmp_path: Path
):
    registry.claim("lab", folder(tmp_path, "a", "lab"), ip_forward="0")
    with pytest.raises(LabFault) as refused:
        registry.claim("lab", folder(tmp_path, "b", "lab"), ip_forward="0")
    assert f"already up, started from {tmp_path / 'a'}" in str(refused.value)
    assert f"cd {tmp_path / 'a'} && LAB_NAME=lab ./inv lab.down" in str(refused.value)
    assert "LAB_NAME=lab2" in str(refused.value)


def test_a_lab_whose_checkout_is_gone_may_be_taken_over(registry: Registry, tmp_path: Path):
    gone = registry.claim("lab", tmp_path / "gone" / ".lab" / "lab", ip_forward="0")
    here = folder(tmp_path, "b", "lab")
    taken = registry.claim("lab", here, ip_forward="1")
    assert taken == registry.get("lab") == replace(gone, directory=str(here))


def test_subnets_that_the_machine_uses_are_left_alone(registry: Registry, tmp_path: Path):
    home = folder(tmp_path, "a", "lab")
    entry = registry.claim("lab", home, ip_forward="0", taken=lambda slot: slot < 5)
    assert entry.slot == 5


def test_the_subnets_that_the_trees_were_made_for_come_first(registry: Registry, tmp_path: Path):
    home = folder(tmp_path, "a", "lab")
    assert registry.claim("lab", home, ip_forward="0", preferred=7).slot == 7


def test_when_every_subnet_is_taken_it_says_so(registry: Registry, tmp_path: Path):
    with pytest.raises(LabFault, match="no subnet is free"):
        registry.claim("lab", tmp_path, ip_forward="0", taken=lambda slot: True)
    assert registry.entries() == []


def test_a_released_subnet_is_given_again(registry: Registry, tmp_path: Path):
    for name in ("lab", "lab2"):
        registry.claim(name, folder(tmp_path, "a", name), ip_forward="0")
    registry.release("lab")
    assert registry.claim("lab3", folder(tmp_path, "a", "lab3"), ip_forward="0").slot == 0


def test_the_last_lab_gives_back_what_the_machine_was_before_the_first(
    registry: Registry, tmp_path: Path
):
    registry.claim("lab", folder(tmp_path, "a", "lab"), ip_forward="0")
    registry.claim("lab2", folder(tmp_path, "a", "lab2"), ip_forward="1")
    assert registry.release("lab") is None
    last = registry.release("lab2")
    assert last == Entry("lab2", 1, str(tmp_path / "a/.lab/lab2"), ip_forward="0")


def test_releasing_what_was_never_there_is_no_fault(registry: Registry):
    assert registry.release("lab") is None
