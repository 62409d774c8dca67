"""Targets: which hosts a command is for: `all`, hosts, groups, patterns, with commas; `!name` leaves out."""

from __future__ import annotations

from fnmatch import fnmatchcase

from fleet.errors import UsageError, did_you_mean
from fleet.inventory import Host, Inventory

_PATTERN = frozenset("*?[")


def sweeping(target: str) -> bool:
    """Whether a target takes hosts without naming them: of those, the ones that a command is not for
    are left out without a word.

    >>> sweeping("!hangar, all"), sweeping("EC-*"), sweeping("EC-TAA,aircraft")
    (True, True, False)
    """
    return any(part.strip() == "all" or _PATTERN & set(part) for part in target.split(","))


def select(inventory: Inventory, target: str, limit: str = "") -> tuple[Host, ...]:
    """Returns the hosts of a target, each once, in the order of the inventory.

    Args:
        inventory: the fleet.
        target: for example `all,!hangar`, `EC-TAA,EC-TAB` or `EC-T[AB]*`.
        limit: of these only those that it means, in the same words; here `!hangar` alone means all
            others. Empty keeps all.

    Raises:
        UsageError: a name is neither host nor group, a pattern is no host's, or nothing is left;
            nothing was touched.

    >>> select(inventory, "aircraft,!EC-TAB")  # doctest: +SKIP
    (Host(name='EC-TAA', …),)
    """
    hosts = _select(inventory, target)
    if not limit:
        return hosts
    only_out = all(part.strip().startswith("!") for part in limit.split(","))
    kept = _select(inventory, f"all,{limit}" if only_out else limit)
    limited = tuple(host for host in hosts if host in kept)
    if not limited:
        raise UsageError(
            f"--limit {limit} leaves no host of the target {target!r}",
            f"the target means {', '.join(host.name for host in hosts)}",
        )
    return limited


def _select(inventory: Inventory, target: str) -> tuple[Host, ...]:
    chosen: set[str] = set()
    left_out: set[str] = set()
    including = False
    for part in (word.strip() for word in target.split(",")):
        name = part.removeprefix("!").strip()
        if not name:
            raise UsageError(f"the target {target!r} has an empty part", _known(inventory))
        if part.startswith("!"):
            left_out |= _names(inventory, name)
        else:
            including = True
            if name in inventory.hosts and (at := inventory.hosts[name].retired):
                raise UsageError(
                    f"{name} was retired at {at}: nobody calls it any more",
                    f"take it out of {inventory.path}; or, when a new box stands in its place: "
                    f"fab init-machine --host root@ADDRESS:22 --as {name}",
                )
            chosen |= _names(inventory, name)
    if not including:
        raise UsageError(
            f"the target {target!r} only says what to leave out", f"write all,{target} for the rest"
        )
    chosen -= left_out
    hosts = tuple(h for h in inventory.hosts.values() if h.name in chosen and not h.retired)
    if not hosts:
        raise UsageError(f"the target {target!r} leaves no host", _known(inventory))
    return hosts


def _names(inventory: Inventory, name: str) -> set[str]:
    if name == "all":
        return set(inventory.hosts)
    if name in inventory.hosts:
        return {name}
    if name in inventory.groups:
        return {host.name for host in inventory.in_group(name)}
    if _PATTERN & set(name):
        if matching := {host for host in inventory.hosts if fnmatchcase(host, name)}:
            return matching
        raise UsageError(f"no host of {inventory.path} is like {name!r}", _known(inventory))
    known = (*inventory.hosts, *inventory.groups)
    raise UsageError(
        f"there is no host or group {name!r} in {inventory.path}{did_you_mean(name, known)}",
        _known(inventory),
    )


def _known(inventory: Inventory) -> str:
    return f"hosts: {', '.join(inventory.hosts)}; groups: {', '.join(inventory.groups)}, all"
