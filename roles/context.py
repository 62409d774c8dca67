"""What a role may know: this host and its neighbours, as the inventory says."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any, Protocol

from require import Secret


class Variables(Protocol):
    """The variables of a host, each read as what it must be; one that is missing or wrong stops
    the command before any host is touched, with the file and the line to correct."""

    def get(self, key: str, /) -> Any: ...
    def text(self, key: str, default: str | None = None) -> str: ...
    def interface(self, key: str, default: str | None = None) -> str: ...
    def address(self, key: str) -> str: ...
    def network(self, key: str) -> IPv4Network: ...
    def domain(self, key: str, default: str | None = None) -> str: ...
    def endpoint(self, key: str) -> str: ...
    def flag(self, key: str, default: bool) -> bool: ...
    def words(self, key: str, default: list[str]) -> list[str]: ...
    def links(self, key: str) -> dict[str, dict[str, Any]]: ...
    def public_keys(self, key: str) -> list[str]: ...
    def secret(self, key: str) -> Secret: ...


class Neighbour(Protocol):
    """A host of the inventory, with what first contact learned of it (`facts`, empty before).

    `tower_address` is `tower` where a role cannot do without.
    """

    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def tower(self) -> str | None: ...
    @property
    def tower_address(self) -> str: ...
    @property
    def vars(self) -> Variables: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


class Context(Neighbour, Protocol):
    """The host that a role is applied to, all hosts by name (itself included), and the hangar."""

    @property
    def fleet(self) -> str: ...
    @property
    def hosts(self) -> Mapping[str, Neighbour]: ...
    @property
    def hangar(self) -> Neighbour: ...


def in_group(host: Context, group: str) -> dict[str, Neighbour]:
    """Returns the hosts of a group that have a place in the tower, by name.

    Example: `in_group(host, "aircraft")["EC-TAA"].tower`
    """
    return {
        name: other
        for name, other in host.hosts.items()
        if group in other.groups and other.tower is not None
    }


def keys_of(host: Neighbour, fact: str) -> list[str]:
    """Returns the public keys of a host that are taken now: two while one is being changed.

    Example: `keys_of(host.hangar, "dispatch_key")`
    """
    both = (host.facts.get(fact), host.facts.get(f"{fact}_next"))
    return list(dict.fromkeys(key for key in both if key))
