"""Groups of groups and patterns: who is in which, and whose variables and roles come over whose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import UsageError
from fleet.groups import Group, groups_of
from fleet.inventory import Inventory, load
from fleet.target import select

NESTED = """\
fleet: lab
vars: {v: all, w: all}
groups:
  iberia: {children: [narrow, a330], roles: [base], vars: {v: iberia, only: iberia}}
  narrow: {children: [a320], vars: {v: narrow}}
  a320: {roles: [aircraft], vars: {v: a320, w: a320}}
  a330: {hosts: ["EC-N*"], roles: [aircraft], vars: {v: a330}}
  trial: {hosts: [EC-NAB, "EC-M[A-C]*"], vars: {v: trial}}
  ground: {roles: [hangar]}
hosts:
  hangar: {groups: [ground], address: 10.0.0.1}
  EC-MAA: {groups: [a320], address: 10.0.0.2}
  EC-MDA: {groups: [a320], address: 10.0.0.3, vars: {v: own}}
  EC-NAA: {address: 10.0.0.4}
  EC-NAB: {address: 10.0.0.5}
  EC-NAC: {groups: [a330, trial], address: 10.0.0.6}
"""


def written(tmp_path: Path, text: str = NESTED) -> Path:
    path = tmp_path / "inventory.yml"
    path.write_text(text)
    return path


@pytest.fixture
def fleet(tmp_path: Path) -> Inventory:
    return load(written(tmp_path), roles=("base", "aircraft", "hangar"))


@pytest.mark.parametrize(
    ("host", "groups", "v"),
    [
        ("hangar", "ground", "all"),
        ("EC-MAA", "iberia narrow trial a320", "a320"),
        ("EC-MDA", "iberia narrow a320", "own"),
        ("EC-NAA", "iberia a330", "a330"),
        ("EC-NAB", "iberia a330 trial", "trial"),
        ("EC-NAC", "iberia a330 trial", "trial"),
    ],
)
def test_the_inner_group_comes_over_the_outer_and_the_host_over_all(
    fleet: Inventory, host: str, groups: str, v: str
) -> None:
    assert fleet.hosts[host].groups == tuple(groups.split())
    assert fleet.hosts[host].vars["v"] == v


def test_what_is_overridden_is_remembered_level_by_level(fleet: Inventory) -> None:
    origin = fleet.hosts["EC-MDA"].origins["v"]
    assert [(each.level, each.value, each.line) for each in (origin, *origin.overridden())] == [
        ("host EC-MDA", "own", 13),
        ("group a320", "a320", 6),
        ("group narrow", "narrow", 5),
        ("group iberia", "iberia", 4),
        ("all", "all", 2),
    ]
    assert fleet.hosts["EC-NAA"].vars["only"] == "iberia"


def test_roles_of_the_outer_group_come_first(fleet: Inventory) -> None:
    assert fleet.hosts["EC-MAA"].roles == ("base", "aircraft")


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("iberia", "EC-MAA EC-MDA EC-NAA EC-NAB EC-NAC"),
        ("narrow", "EC-MAA EC-MDA"),
        ("trial", "EC-MAA EC-NAB EC-NAC"),
        ("iberia,!a330", "EC-MAA EC-MDA"),
    ],
)
def test_a_target_takes_a_group_with_all_that_it_holds(
    fleet: Inventory, target: str, names: str
) -> None:
    assert [host.name for host in select(fleet, target)] == names.split()


OUTER = Group("outer", (), children=("inner", "other"))
INNER, OTHER = Group("inner", ()), Group("other", ())
AROUND = Group("around", (), children=("outer",))


@pytest.mark.parametrize(
    ("named", "groups", "order"),
    [
        (["inner", "other"], [INNER, OTHER], "inner other"),
        (["other", "inner"], [INNER, OTHER], "other inner"),
        (["inner", "inner"], [INNER], "inner"),
        # An outer group is the weaker, wherever it is named.
        (["inner", "outer"], [INNER, OUTER], "outer inner"),
        (["inner", "around"], [INNER, OUTER, AROUND], "around outer inner"),
        # One that the host is in itself comes over one that it is in through another.
        (
            ["other", "inner"],
            [INNER, Group("other", ()), AROUND, OUTER],
            "around outer other inner",
        ),
        # What the host names comes over what takes it.
        (["inner"], [INNER, Group("taking", (), hosts=("EC-*",))], "taking inner"),
        (["inner", "taking"], [INNER, Group("taking", (), hosts=("EC-*",))], "inner taking"),
        # Of two around one group the later in the file.
        (["x"], [Group("x", ()), *(Group(n, (), children=("x",)) for n in "ba")], "b a x"),
    ],
)
def test_the_order_of_groups_is_one_rule(named: list[str], groups: list[Group], order: str) -> None:
    found = groups_of("EC-TAA", named, {group.name: group for group in groups})
    assert found == tuple(order.split())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_outer_group_never_comes_over_one_that_it_holds(data: st.DataObject) -> None:
    names = [f"g{number}" for number in range(7)]
    groups = {
        name: Group(
            name, (), children=tuple(data.draw(st.sets(st.sampled_from(names[number + 1 :]))))
        )
        for number, name in enumerate(names[:-1])
    }
    groups[names[-1]] = Group(names[-1], ())
    named = data.draw(st.lists(st.sampled_from(names), unique=True))
    order = groups_of("EC-TAA", named, groups)
    inside = {outer for outer in names if outer in named}
    for outer in reversed(names):
        if inside & set(groups[outer].children):
            inside.add(outer)
    assert sorted(order) == sorted(inside)
    for at, name in enumerate(order):
        assert not set(groups[name].children) & set(order[:at])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[narrow, a330]",
            "[narow, a330]",
            ":4: expected a group (iberia, narrow, a320, a330, trial, ground), found 'narow' "
            "(did you mean narrow?)",
        ),
        ("[narrow, a330]", "narrow", ":4: expected a list of groups, found 'narrow'"),
        (
            "a320: {roles",
            "a320: {children: [iberia], roles",
            ":6: expected groups that hold each other in no circle, "
            "found iberia → narrow → a320 → iberia",
        ),
        (
            "a320: {roles",
            "a320: {children: [a320], roles",
            ":6: expected groups that hold each other in no circle, found a320 → a320",
        ),
        (
            '"EC-N*"',
            '"EC-X*"',
            ":7: expected a host's name, or a pattern of some, found 'EC-X*'",
        ),
        ("hosts: [EC-NAB,", "hosts: [EC-NAD,", "found 'EC-NAD' (did you mean EC-NAC?)"),
        ("  trial: {hosts", "  trial: {host", ":8: expected one of children, hosts, roles, vars"),
        ("  trial:", "  a,b:", ":8: expected a group's name without spaces and"),
        (
            "  trial:",
            "  all:",
            ":8: expected a group's name without spaces and , ! * ? [ ] /, and not",
        ),
        ("  EC-NAA: {", "  XX-NAA: {", ":14: expected groups for XX-NAA, found none"),
    ],
)
def test_a_fault_names_file_line_expected_and_found(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert NESTED.count(old) == 1
    path = written(tmp_path, NESTED.replace(old, new))
    with pytest.raises(UsageError) as caught:
        load(path)
    assert said in caught.value.what
    assert caught.value.what.startswith(f"{path}:")


def test_circles_do_not_hide_the_other_faults(tmp_path: Path) -> None:
    text = NESTED.replace("a320: {roles", "a320: {children: [iberia], roles")
    path = written(tmp_path, text.replace("10.0.0.2}", "two words}"))
    with pytest.raises(UsageError) as caught:
        load(path)
    assert ":6: expected groups that hold" in caught.value.what
    assert ":12: expected an address" in caught.value.what
