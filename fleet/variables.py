"""The variables of a host as roles read them: each kind is checked, each fault has its file and line."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from fleet.errors import UsageError, did_you_mean
from fleet.inventory import Host
from fleet.secrets import Opener
from require import Secret

_INTERFACE = r"[a-zA-Z][a-zA-Z0-9._-]{0,14}"
_DOMAIN = r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
_PUBLIC_KEY = r"(ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/]+={0,2}( [ -~]*)?"
_WORD = r"[A-Za-z0-9][A-Za-z0-9-]{0,31}"
_ENDPOINT = r"([A-Za-z0-9][A-Za-z0-9.-]{0,252}):(\d{1,5})"
T = TypeVar("T")


class Vars(dict[str, Any]):
    """Variables that say which one is missing or wrong, for whom, where, and what was expected.

    Args:
        host: whose they are.
        path: the inventory's file.
        opener: opens the host's secrets.

    >>> Vars(host, path, opener).address("cabin_address")  # doctest: +SKIP
    '10.20.0.1'
    """

    def __init__(self, host: Host, path: Path, opener: Opener) -> None:
        super().__init__(host.vars)
        self._host, self._path, self._opener = host, path, opener

    def __missing__(self, key: str) -> Any:
        name = self._host.name
        raise UsageError(
            f"{self._path}:{self._host.line}: expected the variable {key} for {name}, which a role "
            f"needs, found none{did_you_mean(key, self)}",
            f"add {key} to the vars of {name}, of one of its groups, or of all",
        )

    def secret(self, key: str) -> Secret:
        """Returns a secret; it is opened now, with the key of whoever we are."""
        host = self._host
        if key not in host.secrets:
            found = f"the variable of {host.origins[key]}" if key in host.origins else "none"
            raise UsageError(
                f"{self._path}:{host.line}: expected the secret {key} for {host.name}, which a role "
                f"needs, found {found}{did_you_mean(key, host.secrets)}",
                f"./inv secrets.edit --level host-{host.name} --name {key} sets it; so does the level "
                "of one of its groups, group-NAME, or all",
            )
        return self._opener.open(key, host.secrets[key])

    def text(self, key: str, default: str | None = None) -> str:
        """Returns a word or a number, as a line of text."""
        return self._read(key, "text in one line", _line, default)

    def interface(self, key: str, default: str | None = None) -> str:
        """Returns the name of a network interface."""
        return self._read(key, "a network interface such as cabin0", _like(_INTERFACE), default)

    def address(self, key: str) -> str:
        """Returns an IPv4 address."""
        return self._read(key, "an IPv4 address such as 10.20.0.1", _address)

    def network(self, key: str) -> IPv4Network:
        """Returns an IPv4 network, which says how long its prefix is and has no host bits."""
        return self._read(key, "an IPv4 network such as 10.64.0.0/16", _network)

    def domain(self, key: str, default: str | None = None) -> str:
        """Returns the whole name of a host in small letters, as it stands in a certificate."""
        return self._read(key, "a name such as portal.example.aero", _like(_DOMAIN), default)

    def endpoint(self, key: str) -> str:
        """Returns a host and a port."""
        return self._read(key, "an address and a port such as 203.0.113.10:51820", _endpoint)

    def public_keys(self, key: str) -> list[str]:
        """Returns one or more public keys of OpenSSH, all Ed25519."""
        expected = "a list of public keys such as `ssh-ed25519 AAAA… eva`"
        return self._read(key, expected, _public_keys)

    def flag(self, key: str, default: bool) -> bool:
        """Returns yes or no, which YAML writes as true or false."""
        return self._read(key, "true or false", _flag, default)

    def words(self, key: str, default: list[str]) -> list[str]:
        """Returns a list of codes, such as airports or languages."""
        return self._read(key, "a list of codes such as [TLS, MAD]", _words, default)

    def links(self, key: str) -> dict[str, dict[str, Any]]:
        """Returns the rules of network interfaces by their names; none where the variable is not set."""
        expected = (
            "rules of interfaces such as {wwan0: {name: metered, kbit: 2000, largest_mb: 50, "
            "kinds: [newspaper]}}"
        )
        return self._read(key, expected, _links, {})

    def _read(
        self, key: str, expected: str, parse: Callable[[Any], T], default: T | None = None
    ) -> T:
        """Returns what a variable holds; `parse` raises ValueError where that is not expected."""
        if default is not None and key not in self:
            return default
        value = self[key]
        try:
            return parse(value)
        except ValueError:
            origin = self._host.origins.get(key)
            line = origin.line if origin else self._host.line
            raise UsageError(
                f"{self._path}:{line}: expected {key} of {self._host.name} to be {expected}, "
                f"found {value!r}",
                "nothing was touched; correct the file",
            ) from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _words(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError
    if not all(isinstance(word, str) and re.fullmatch(_WORD, word) for word in value):
        raise ValueError
    return value


def _links(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError
    for name, rule in value.items():
        _like(_INTERFACE)(name)
        if not isinstance(rule, dict) or rule.keys() - {"name", "kbit", "largest_mb", "kinds"}:
            raise ValueError
        for bound in ("kbit", "largest_mb"):
            if type(rule.get(bound, 1)) is not int or rule.get(bound, 1) < 1:
                raise ValueError
        _words(rule.get("kinds", []))
        _like(_WORD)(rule.get("name", "link"))
    return value


def _line(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    if not str(value).strip() or "\n" in str(value):
        raise ValueError
    return str(value)


def _public_keys(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ValueError
    return [_like(_PUBLIC_KEY)(each) for each in value]


def _like(pattern: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not re.fullmatch(pattern, str(value)):
            raise ValueError
        return str(value)

    return parse


def _address(value: Any) -> str:
    return str(IPv4Address(str(value)))  # of a bare number it would make one too


def _network(value: Any) -> IPv4Network:
    if "/" not in str(value):
        raise ValueError
    return IPv4Network(str(value))


def _endpoint(value: Any) -> str:
    found = re.fullmatch(_ENDPOINT, str(value))
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError
    return found[0]
