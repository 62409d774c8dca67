"""Targets: what a string of names means, and that a wrong one is found before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import Exit, UsageError
from fleet.inventory import Group, Host, Inventory
from fleet.target import select


def fleet() -> Inventory:
    groups = {name: Group(name, ()) for name in ("hangar", "aircraft", "old")}
    hosts = {
        "hub": Host("hub", ("hangar",), (), "10.0.0.1"),
        "EC-TAA": Host("EC-TAA", ("aircraft", "old"), (), "10.0.0.2"),
        "EC-TAB": Host("EC-TAB", ("aircraft",), (), "10.0.0.3"),
    }
    return Inventory("lab", Path("inventory.yml"), groups, hosts)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("all", "hub EC-TAA EC-TAB"),
        ("EC-TAB", "EC-TAB"),
        ("aircraft", "EC-TAA EC-TAB"),
        ("EC-TAB,hub", "hub EC-TAB"),
        (" EC-TAB , hub ", "hub EC-TAB"),
        ("EC-TAA,aircraft,EC-TAA", "EC-TAA EC-TAB"),
        ("all,!hub", "EC-TAA EC-TAB"),
        ("!old,all", "hub EC-TAB"),
        ("aircraft,!EC-TAA", "EC-TAB"),
        ("EC-TAA,!hangar", "EC-TAA"),
        ("EC-*", "EC-TAA EC-TAB"),
        ("EC-TA[!A]", "EC-TAB"),
        ("all,!EC-TA?", "hub"),
        ("h*, EC-TAB", "hub EC-TAB"),
    ],
)
def test_a_target_means_these_hosts_in_the_order_of_the_inventory(target: str, names: str) -> None:
    assert [host.name for host in select(fleet(), target)] == names.split()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("EC-TAC", "there is no host or group 'EC-TAC' in inventory.yml (did you mean EC-TA"),
        ("ec-taa", "(did you mean EC-TAA?)"),
        ("all,!nobody", "there is no host or group 'nobody'"),
        ("EC-TAA,,hub", "has an empty part"),
        ("", "has an empty part"),
        ("!", "has an empty part"),
        ("!hub", "only says what to leave out"),
        ("hangar,!hub", "leaves no host"),
        ("EC-X*", "no host of inventory.yml is like 'EC-X*'"),
        ("EC-*,!ec-taa*", "no host of inventory.yml is like 'ec-taa*'"),
    ],
)
def test_a_wrong_target_is_wrong_usage(target: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(fleet(), target)
    assert said in caught.value.what
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        ("", "EC-TAA EC-TAB"),
        ("EC-TA*", "EC-TAA EC-TAB"),
        ("old,hub", "EC-TAA"),
        ("!EC-TAA", "EC-TAB"),
        ("!old, !hub", "EC-TAB"),
        ("all,!EC-TAB", "EC-TAA"),
    ],
)
def test_a_limit_keeps_of_the_target_what_it_means(limit: str, names: str) -> None:
    assert [host.name for host in select(fleet(), "aircraft", limit)] == names.split()


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("hub", "--limit hub leaves no host of the target 'aircraft'"),
        ("!aircraft", "--limit !aircraft leaves no host"),
        ("EC-TAC", "there is no host or group 'EC-TAC'"),
        ("EC-X*", "no host of inventory.yml is like"),
        ("!EC-TAA,", "has an empty part"),
    ],
)
def test_a_limit_that_is_wrong_or_leaves_nothing_is_wrong_usage(limit: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(fleet(), "aircraft", limit)
    assert said in caught.value.what
    assert caught.value.exit_code == Exit.USAGE


def test_an_unknown_target_comes_with_the_known_names() -> None:
    with pytest.raises(UsageError) as caught:
        select(fleet(), "nobody")
    assert caught.value.remedy == "hosts: hub, EC-TAA, EC-TAB; groups: hangar, aircraft, old, all"
