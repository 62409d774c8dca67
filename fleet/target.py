"""Targets: which hosts a command is for: `all`, hosts, groups, with commas; `!name` leaves out."""

from __future__ import annotations

from fleet.errors import UsageError, did_you_mean
from fleet.inventory import Host, Inventory


def select(inventory: Inventory, target: str) -> tuple[Host, ...]:
    """Returns the hosts of a target, each once, in the order of the inventory.

    Args:
        inventory: the fleet.
        target: for example `all,!hangar` or `EC-TAA,EC-TAB`.

    Raises:
        UsageError: a name is neither host nor group, or nothing is left; nothing was touched.

    >>> select(inventory, "aircraft,!EC-TAB")  # doctest: +SKIP
    (Host(name='EC-TAA', …),)
    """
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
            chosen |= _names(inventory, name)
    if not including:
        raise UsageError(
            f"the target {target!r} only says what to leave out", f"write all,{target} for the rest"
        )
    hosts = tuple(h for h in inventory.hosts.values() if h.name in chosen - left_out)
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
    known = (*inventory.hosts, *inventory.groups)
    raise UsageError(
        f"there is no host or group {name!r} in {inventory.path}{did_you_mean(name, known)}",
        _known(inventory),
    )


def _known(inventory: Inventory) -> str:
    return f"hosts: {', '.join(inventory.hosts)}; groups: {', '.join(inventory.groups)}, all"
