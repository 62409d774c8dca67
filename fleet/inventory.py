"""The inventory: which hosts exist, in which groups, with which roles and variables, and where.

One YAML file written by people, and beside it `enrolled/HOST.yml` with what first contact learned
of a host (its public keys). Everything is checked when it is loaded, before anything is touched.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fleet.errors import UsageError, did_you_mean
from fleet.groups import Group, groups_of, read_groups
from fleet.inventory_yaml import Faults, Value, read
from fleet.origin import Origins, laid_over, read_vars
from fleet.secrets import Opener, Secrets, read_secrets

TOP = Path(__file__).resolve().parent.parent
_SSH_KEY = r"ssh-ed25519 [A-Za-z0-9+/=]+( .*)?"
_TOWER_KEY = r"[A-Za-z0-9+/]{43}="
_AT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
FACTS = {
    "host_key": r"(ssh|ecdsa)-[\w@.-]+ [A-Za-z0-9+/=]+",
    "ssh_key": _SSH_KEY,
    "dispatch_key": _SSH_KEY,
    "tower_key": _TOWER_KEY,
    # While a key is being changed: the one that comes, and what came while others still know the old.
    "ssh_key_next": _SSH_KEY,
    "dispatch_key_next": _SSH_KEY,
    "tower_key_next": _TOWER_KEY,
    "enrolled_at": _AT,
    "retired_at": _AT,
}
IDENTITIES = "age.key"
_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"
_ADDRESS = r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?"
_USER = r"[a-z_][a-z0-9_-]{0,31}"
_PARTS = ("fleet", "ssh_config", "vars", "groups", "hosts")
_HOST_KEYS = ("address", "groups", "port", "tower", "user", "vars", "via")


@dataclass(frozen=True)
class Host:
    """One host as the inventory says, with the variables of all its groups merged.

    `groups` are all that it is in, those that hold others included, the weakest first. `facts` is what
    first contact learned (`host_key`, `ssh_key`, `tower_key`, …), empty before it. `origins` says for
    each variable where it comes from, and what it overrides; `secrets` the same of the secrets, closed.
    `identity` is the private key of a bastion that wants another one than that of ops. `retired` is when
    it was taken out of service, empty while it is in it.
    """

    name: str
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    address: str
    port: int = 22
    user: str = "ops"
    tower: str | None = None
    via: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)
    secrets: Origins = field(default_factory=dict)
    line: int = 0
    identity: Path | None = None
    retired: str = ""

    @property
    def enrolled(self) -> bool:
        return "host_key" in self.facts


@dataclass(frozen=True)
class Inventory:
    """All hosts and groups of one fleet, in the order of the file.

    `variables` are all that have a value at some level, with one of the places. `bastions` are hosts that
    are only gone through, as the `ssh_config` that the file names has them.
    """

    fleet: str
    path: Path
    groups: Mapping[str, Group] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    variables: Origins = field(default_factory=dict)
    bastions: Mapping[str, Host] = field(default_factory=dict)

    def in_group(self, group: str) -> tuple[Host, ...]:
        """Returns the hosts of a group and of those that it holds, in the order of the file.

        Retired ones are left out.
        """
        return tuple(h for h in self.hosts.values() if group in h.groups and not h.retired)

    def way_to(self, host: Host) -> tuple[Host, ...]:
        """Returns the hosts that one is reached through, the one we call ourselves first."""
        through = self.through(host)
        return (*self.way_to(through), through) if through else ()

    def through(self, host: Host) -> Host | None:
        """Returns the host that one is reached through; None where we call it ourselves."""
        if host.via is None:
            return None
        return self.hosts.get(host.via) or self.bastions[host.via]

    def is_on_a_way(self, host: Host) -> bool:
        """Whether another host is reached through this one."""
        return any(o.via == host.name for o in (*self.hosts.values(), *self.bastions.values()))

    @property
    def keys(self) -> Path:
        """Where the private keys of ops are: TURNAROUND_KEYS, the lab's own, or the home folder."""
        if given := os.environ.get("TURNAROUND_KEYS"):
            return Path(given)
        beside = self.path.parent / "keys"
        return beside if beside.is_dir() else Path.home() / ".config/turnaround" / self.fleet

    @cached_property
    def opener(self) -> Opener:
        """What opens secrets, with the key of whoever we are."""
        return Opener(self.keys / IDENTITIES)

    @property
    def logs(self) -> Path:
        """Where runs are kept: TURNAROUND_LOGS, beside the keys of a lab, or the home folder."""
        if given := os.environ.get("TURNAROUND_LOGS"):
            return Path(given)
        if (self.path.parent / "keys").is_dir():
            return self.path.parent / "logs"
        return Path.home() / ".local/state/turnaround" / self.fleet

    @property
    def enrolled(self) -> Path:
        """Where first contact writes what it learned."""
        return self.path.parent / "enrolled"


def find(given: str | None, environment: Mapping[str, str] = os.environ, top: Path = TOP) -> Path:
    """Returns the inventory to use: the flag's, FLEET_INVENTORY's, or the running lab's.

    Raises:
        UsageError: there is no file at that place.
    """
    lab = environment.get("LAB_NAME") or "lab"
    if given:
        path, reason = Path(given), "given with --inventory"
    elif named := environment.get("FLEET_INVENTORY"):
        path, reason = Path(named), "named by FLEET_INVENTORY"
    else:
        path, reason = top / ".lab" / lab / "inventory.yml", f"the inventory of the lab {lab}"
    if path.is_file():
        return path
    raise UsageError(
        f"there is no inventory at {path} ({reason})",
        "give one with --inventory FILE or FLEET_INVENTORY, or start the lab with ./inv lab.up",
    )


def load(path: Path, roles: Collection[str] | None = None, *, ways: bool = True) -> Inventory:
    """Reads an inventory, the secrets' names and what was enrolled beside it.

    Args:
        path: the YAML file.
        roles: the roles that exist; None accepts any name.
        ways: read how bastions are reached, which lies on the machine of ops and nowhere else.

    Raises:
        UsageError: every fault of the file, each as `FILE:LINE: expected …, found …`.
    """
    root, faults = read(path)
    if root is None:
        raise UsageError(f"{path}:1: expected fleet, groups and hosts, found an empty file")
    parts = dict(root.items("fleet, vars, groups and hosts", _PARTS))
    for needed in ("fleet", "groups", "hosts"):
        if needed not in parts:
            faults.add(1, f"a key {needed}", "none")
    faults.stop()
    fleet = parts["fleet"].text("the fleet's name", _NAME)
    shared = read_vars("all", parts.get("vars"))
    described = dict(parts["hosts"].items("hosts by name"))
    groups = read_groups(parts["groups"], roles, described)
    hosts = {name: _host(name, value, groups, shared) for name, value in described.items()}
    through = _bastions(path, parts.get("ssh_config"), hosts, ways)
    _check_together(hosts, groups, through, faults)
    secrets = read_secrets(path.parent / "secrets", groups, hosts, faults)
    sources = [shared, *(group.origins for group in groups.values())]
    sources += [host.origins for host in hosts.values()]
    variables = {name: origin for each in sources for name, origin in each.items()}
    _check_names(secrets, variables, faults)
    faults.stop()
    hosts = {
        name: replace(
            host,
            secrets=secrets.of(name, host.groups),
            **_learned(path.parent / "enrolled", name),
        )
        for name, host in hosts.items()
    }
    return Inventory(fleet, path, groups, hosts, secrets, variables, through)


def _bastions(
    path: Path, named: Value | None, hosts: Mapping[str, Host], ways: bool
) -> dict[str, Host]:
    """Returns the hosts on the way that the `ssh_config` describes, and the file does not."""
    from fleet.ssh_config import bastions

    if named is None or not (config := named.text("the name of a file")):
        return {}
    wanted = [host.via for host in hosts.values() if host.via]
    if not ways:
        return {name: Host(name, (), (), "") for name in wanted if name not in hosts}
    found = bastions(path.parent / Path(config).expanduser(), wanted, hosts)
    return {name: replace(host, line=named.line) for name, host in found.items()}


def _host(name: str, value: Value, groups: Mapping[str, Group], shared: Origins) -> Host:
    parts = dict(value.items("a host's keys", _HOST_KEYS))
    named = parts["groups"].texts("a list of groups") if "groups" in parts else []
    for group, place in named:
        if group not in groups:
            place.fault(f"a group ({', '.join(groups)})", did_you_mean(group, groups))
    member = groups_of(name, [group for group, _ in named if group in groups], groups)
    if "groups" not in parts and not member:
        value.faults.add(value.line, f"groups for {name}", "none")
    if "address" not in parts:
        value.faults.add(value.line, f"address for {name}", "none")
    origins = shared
    for group in member:
        origins = laid_over(origins, groups[group].origins)
    origins = laid_over(origins, read_vars(f"host {name}", parts.get("vars")))
    variables = {key: origin.value for key, origin in origins.items()}
    via = parts["via"].text("the host to go through") if "via" in parts else variables.get("via")
    return Host(
        name=name,
        groups=member,
        roles=tuple(dict.fromkeys(role for group in member for role in groups[group].roles)),
        address=parts["address"].text("an address", _ADDRESS) if "address" in parts else "",
        port=parts["port"].integer("a port, 1 to 65535", 1, 65535) if "port" in parts else 22,
        user=parts["user"].text("a user name", _USER) if "user" in parts else "ops",
        tower=_tower(parts["tower"]) if "tower" in parts else None,
        via=str(via) if via else None,
        vars=variables,
        origins=origins,
        line=value.line,
    )


def _tower(value: Value) -> str:
    text = value.text("a tower address such as 10.100.64.11")
    try:
        return str(ipaddress.IPv4Address(text)) if text else ""
    except ValueError:
        value.fault("a tower address such as 10.100.64.11")
        return ""


def _check_together(
    hosts: Mapping[str, Host],
    groups: Mapping[str, Group],
    through: Mapping[str, Host],
    faults: Faults,
) -> None:
    """Notes what is wrong only when hosts are seen side by side."""
    taken: dict[tuple[str, int], str] = {}
    towers: dict[str, str] = {}
    circling: set[str] = set()
    hops = {**hosts, **through}
    for host in hosts.values():
        if not re.fullmatch(_NAME, host.name) or host.name == "all":
            expected = "a host name of letters, digits and dashes, and not `all`"
            faults.add(host.line, expected, repr(host.name))
        # The hangar may be the one host of the group hangar: both names mean the same.
        others = [h.name for h in hosts.values() if host.name in h.groups and h is not host]
        if host.name in groups and others:
            expected = "a host name that is not also a group with other hosts in it"
            faults.add(host.line, expected, repr(host.name))
        if (other := taken.setdefault((host.address, host.port), host.name)) != host.name:
            faults.add(host.line, "an address of its own", f"{host.address}, which is {other}'s")
        if host.tower and (other := towers.setdefault(host.tower, host.name)) != host.name:
            faults.add(host.line, "a tower address of its own", f"{host.tower}, which is {other}'s")
        if host.via and host.via not in hops:
            hint = did_you_mean(host.via, hops)
            faults.add(host.line, "via to name a host", repr(host.via), hint)
    for host in hops.values():
        if host.name not in circling and (circle := _circle(host, hops)):
            circling.update(circle)
            expected = "via to end at a host that is reached directly"
            faults.add(host.line, expected, f"a circle: {' → '.join(circle)}")


def _circle(host: Host, hosts: Mapping[str, Host]) -> list[str]:
    """Returns the names on the way from a host back to itself; empty where there is no such way."""
    names, at = [host.name], host
    while at.via is not None and at.via in hosts and len(names) <= len(hosts):
        at = hosts[at.via]
        names.append(at.name)
        if at is host:
            return names
    return []


def _check_names(secrets: Secrets, variables: Origins, faults: Faults) -> None:
    """Notes each secret that has a variable's name: which of the two a role means must be plain."""
    for level in secrets.levels:
        for name, origin in secrets.at(level).items():
            if name in variables:
                wrong = Faults(origin.path)
                expected = "a secret's name that no variable has"
                wrong.add(origin.line, expected, f"{name}, a variable of {variables[name]}")
                faults.found += wrong.found


def _learned(folder: Path, name: str) -> dict[str, Any]:
    """Returns what first contact learned of a host, or when it was retired."""
    if facts := read_facts(folder / f"{name}.yml"):
        return {"facts": facts}
    return {"retired": read_facts(folder / "retired" / f"{name}.yml").get("retired_at", "")}


def read_facts(path: Path) -> dict[str, str]:
    """Returns what first contact wrote of a host; empty when there was none.

    Raises:
        UsageError: the file is not what first contact writes, with file and line.
    """
    if not path.is_file():
        return {}
    root, faults = read(path)
    facts = {
        key: value.text(f"a {key.replace('_', ' ')}", FACTS[key])
        for key, value in (root.items("the facts of a host", tuple(FACTS)) if root else ())
    }
    faults.stop()
    return facts
