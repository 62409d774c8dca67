"""Retiring: the inventory says so first, the hangar forgets, nothing is asked of the box."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import fleet.converge
import fleet.retire
from fleet.context import contexts
from fleet.enrol import write_facts
from fleet.errors import Exit, Offline, UsageError
from fleet.inventory import load, read_facts
from fleet.report import Outcome
from fleet.retire import Retirement, retire
from fleet.target import select

FLEET = """\
fleet: lab
groups: {hangar: {roles: [tower, hangar]}, aircraft: {roles: []}}
hosts:
  hangar: {groups: [hangar], address: 127.0.0.9, tower: 10.1.0.1}
  EC-TAA: {groups: [aircraft], address: 10.1.0.2, tower: 10.1.0.2, via: hangar}
  EC-TAB: {groups: [aircraft], address: 10.1.0.3, tower: 10.1.0.3, via: hangar}
"""
FACTS = {"host_key": "ssh-ed25519 AAAA", "enrolled_at": "2026-11-01T00:00:00Z"}


class World:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "inventory.yml"
        self.path.write_text(FLEET)
        for name in ("hangar", "EC-TAA", "EC-TAB"):
            write_facts(folder / "enrolled" / f"{name}.yml", FACTS)
        self.hangar_is_away = False
        self.called: list[str] = []
        self.knows = {"EC-TAA", "EC-TAB"}

    def to(self, host: Any) -> Any:
        self.called.append(host.name)
        return host

    def on_host(self, connection: Any, known: set[str], say: Any) -> Outcome:
        if self.hangar_is_away:
            raise Offline("hangar: no answer")
        gone = self.knows - known
        self.knows = known
        return Outcome(
            "hangar", data={"changes": [{"key": f"peer {name}"} for name in sorted(gone)]}
        )

    def retire(self, name: str) -> Outcome:
        return retire(load(self.path), name, self, lambda text: None)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(
        fleet.retire, "catalog", lambda inventory, *_: set(contexts(inventory)) - {"hangar"}
    )
    monkeypatch.setattr(fleet.converge, "on_host", made.on_host)
    return made


def test_the_hangar_forgets_it_and_nobody_calls_it(world: World) -> None:
    outcome = world.retire("EC-TAB")
    assert (outcome.code, outcome.status) == (Exit.DONE, "retired")
    assert outcome.data["changes"][1:] == ["hangar: peer EC-TAB"]
    assert (world.knows, world.called) == ({"EC-TAA"}, ["hangar"])


def test_a_second_time_changes_nothing(world: World) -> None:
    world.retire("EC-TAB")
    path = world.path.parent / "enrolled/retired/EC-TAB.yml"
    before = path.read_bytes()
    assert world.retire("EC-TAB").status == "no change"
    assert path.read_bytes() == before


def test_its_keys_are_kept_for_the_record(world: World) -> None:
    inventory = load(world.path)
    now = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    Retirement(
        inventory,
        inventory.hosts["EC-TAB"],
        world,  # type: ignore[arg-type]
        lambda text: None,
        lambda: now,
    ).run()
    assert not (world.path.parent / "enrolled/EC-TAB.yml").exists()
    facts = read_facts(world.path.parent / "enrolled/retired/EC-TAB.yml")
    assert facts == {**FACTS, "retired_at": "2026-11-23T02:00:00Z"}


def test_when_the_hangar_is_away_the_second_run_tells_it(world: World) -> None:
    world.hangar_is_away = True
    outcome = world.retire("EC-TAB")
    assert outcome.code == Exit.OFFLINE
    assert "retired in the inventory, but hangar: no answer" in outcome.detail
    assert "lets the box in" in outcome.remedy
    world.hangar_is_away = False
    assert world.retire("EC-TAB").status == "retired"
    assert world.knows == {"EC-TAA"}


def test_commands_leave_it_out_and_refuse_its_name(world: World) -> None:
    world.retire("EC-TAB")
    inventory = load(world.path)
    for target in ("all", "aircraft,hangar", "EC-*,hangar", "all,!EC-TAB"):
        assert [host.name for host in select(inventory, target)] == ["hangar", "EC-TAA"]
    assert [host.name for host in inventory.in_group("aircraft")] == ["EC-TAA"]
    with pytest.raises(UsageError, match=r"EC-TAB was retired at 2.*: nobody calls it") as caught:
        select(inventory, "EC-TAA,EC-TAB")
    assert "fab init-machine --host root@ADDRESS:22 --as EC-TAB" in caught.value.remedy


def test_a_new_box_in_its_place_is_a_host_like_any(world: World) -> None:
    world.retire("EC-TAB")
    write_facts(world.path.parent / "enrolled/EC-TAB.yml", FACTS)
    inventory = load(world.path)
    assert inventory.hosts["EC-TAB"].retired == ""
    assert [host.name for host in select(inventory, "EC-TAB")] == ["EC-TAB"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("hangar", "only aircraft retire"), ("EC-TAX", "expected one host"), ("all", "one host")],
)
def test_what_cannot_retire_is_wrong_usage(world: World, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        world.retire(name)
    assert world.called == []


def test_what_the_box_knows_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.path.parent / "secrets").mkdir()
    (world.path.parent / "secrets/recipients.yml").write_text(
        f"EC-TAB: {{key: {'age1' + 'q' * 58}, reads: [all]}}\n"
    )
    monkeypatch.setattr("fleet.recipients.is_public_key", lambda text: True)
    lines = world.retire("EC-TAB").lines
    assert any("take EC-TAB out of" in line and "inv secrets.rekey" in line for line in lines)
