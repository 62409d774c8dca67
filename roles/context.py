"""What a role may know: this host and its neighbours, as the inventory says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Neighbour(Protocol):
    """A host of the inventory, with what first contact learned of it (`facts`, empty before)."""

    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def tower(self) -> str | None: ...
    @property
    def vars(self) -> Mapping[str, Any]: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


class Context(Neighbour, Protocol):
    """The host that a role is applied to, and all hosts by name (itself included)."""

    @property
    def name(self) -> str: ...
    @property
    def hosts(self) -> Mapping[str, Neighbour]: ...


def in_group(host: Context, group: str) -> dict[str, Neighbour]:
    """Returns the hosts of a group that have a place in the tower, by name.

    Example: `in_group(host, "aircraft")["EC-TAA"].tower`
    """
    return {
        name: other
        for name, other in host.hosts.items()
        if group in other.groups and other.tower is not None
    }
