"""Groups: which hosts they take, which groups they hold, and what comes over what for a host.

A host is in a group that it names, that names it or a pattern of its name, or that holds a group
which the host is in. The further out a group is from the host, the weaker it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import Any

from fleet.errors import did_you_mean
from fleet.inventory_yaml import Value
from fleet.origin import Origins, read_vars

_NAME = r"[^\s,!*?\[\]/]+"
_KEYS = ("children", "hosts", "roles", "vars")


@dataclass(frozen=True)
class Group:
    """Hosts of one kind: the roles they play and the variables they share.

    Args:
        name: as targets name it.
        roles: in the order they are applied.
        vars: its own only.
        children: the groups it holds.
        hosts: names and patterns of names that it takes by itself.
        origins: where each of its variables stands.
    """

    name: str
    roles: tuple[str, ...]
    vars: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: Origins = field(default_factory=dict)


def read_groups(
    value: Value, roles: Collection[str] | None, hosts: Collection[str]
) -> dict[str, Group]:
    """Returns the groups by name, in the order of the file; what is wrong is noted as faults.

    Args:
        value: what stands under `groups`.
        roles: the roles that exist; None accepts any name.
        hosts: the hosts that exist.
    """
    found = dict(value.items("groups by name"))
    groups, lines = {}, {}
    for name, inner in found.items():
        groups[name], lines[name] = _group(name, inner, roles, found, hosts)
    while circle := _circle(groups):
        last, first = circle[-2:]
        place = lines[last][first]
        expected = "groups that hold each other in no circle"
        place.faults.add(place.line, expected, " → ".join(circle))
        rest = tuple(child for child in groups[last].children if child != first)
        groups[last] = replace(groups[last], children=rest)
    return groups


def _group(
    name: str,
    value: Value,
    roles: Collection[str] | None,
    groups: Collection[str],
    hosts: Collection[str],
) -> tuple[Group, dict[str, Value]]:
    """Returns a group, and the places of its children."""
    if not re.fullmatch(_NAME, name) or name == "all":
        expected = "a group's name without spaces and , ! * ? [ ] /, and not `all`"
        value.faults.add(value.line, expected, repr(name))
    parts = dict(value.items("a group's roles, vars, children and hosts", _KEYS))
    named = parts["roles"].texts("a list of roles") if "roles" in parts else []
    for role, place in named:
        if roles is not None and role not in roles:
            place.fault(f"a role ({', '.join(sorted(roles))})", did_you_mean(role, roles))
    children = parts["children"].texts("a list of groups") if "children" in parts else []
    for child, place in children:
        if child not in groups:
            place.fault(f"a group ({', '.join(groups)})", did_you_mean(child, groups))
    patterns = parts["hosts"].texts("a list of hosts") if "hosts" in parts else []
    for pattern, place in patterns:
        if not any(fnmatchcase(host, pattern) for host in hosts):
            place.fault("a host's name, or a pattern of some", did_you_mean(pattern, hosts))
    origins = read_vars(f"group {name}", parts.get("vars"))
    group = Group(
        name,
        tuple(role for role, _ in named),
        {key: origin.value for key, origin in origins.items()},
        tuple(child for child, _ in children if child in groups),
        tuple(pattern for pattern, _ in patterns),
        origins,
    )
    return group, dict(children)


def _circle(groups: Mapping[str, Group]) -> list[str]:
    """Returns the groups along a circle, its first one last again; none where there is no circle."""
    try:
        TopologicalSorter({name: group.children for name, group in groups.items()}).prepare()
    except CycleError as error:
        return [*reversed(error.args[1])]
    return []


def groups_of(host: str, named: Collection[str], groups: Mapping[str, Group]) -> tuple[str, ...]:
    """Returns the groups that a host is in, the weakest first.

    The further out the weaker; of two at the same distance the one that is named later is the
    stronger, and what the host names itself comes after what takes it.

    Args:
        host: its name.
        named: the groups that it names itself.
        groups: all of them, in no circle.

    >>> groups_of("EC-TAA", ["a320"], {
    ...     "iberia": Group("iberia", (), children=("a320",)),
    ...     "a320": Group("a320", ()),
    ...     "trial": Group("trial", (), hosts=("EC-*",)),
    ... })
    ('iberia', 'trial', 'a320')
    """
    taking = [
        group.name
        for group in groups.values()
        if group.name not in named and any(fnmatchcase(host, each) for each in group.hosts)
    ]
    waves = [[*taking, *named]]
    while waves[-1]:
        waves.append(
            [
                group.name
                for inner in dict.fromkeys(waves[-1])
                for group in groups.values()
                if inner in group.children
            ]
        )
    # One that is met again further out is as weak as that: it must not come over what it holds.
    return tuple(dict.fromkeys(name for wave in reversed(waves) for name in wave))
