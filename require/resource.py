"""What a resource is: a wish, the question that finds out, and the plan that follows.

A resource holds the desired state only. `question` is what its twin in `require.remote` needs to
look; `plan` is pure: given what was seen it answers in three values; `order` is what the twin needs
beyond the question to bring it about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

Spec = dict[str, Any]
State = Mapping[str, Any]


@dataclass(frozen=True)
class Where:
    """The file and line of a declaration; without a line, what else it comes from."""

    file: str = "?"
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class NoChange:
    """The host is as declared."""


@dataclass(frozen=True)
class Change:
    """The host differs.

    Args:
        summary: one line for people, such as "mode 0600 → 0644".
        diff: unified diff of a text, or "" when there is nothing to show; never a secret.
    """

    summary: str
    diff: str = ""


@dataclass(frozen=True)
class Unknown:
    """It cannot be known now.

    Args:
        reason: "until … is applied", or why looking failed.
        blocked: nothing in this run will make it known; applying it would be guessing.
    """

    reason: str
    blocked: bool = False


Plan = NoChange | Change | Unknown


@dataclass(frozen=True)
class Handler:
    """Something to do once, after the resources that notify it have changed.

    Args:
        noun: the twin in `require.remote` that does it.
        spec: what it needs; no secrets, because a marker with it is kept on the host.
        before: prefixes of resource keys that must not be applied while it is pending.
    """

    noun: str
    spec: Mapping[str, Any]
    before: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its unique name, such as "systemd.restarted:nginx.service"."""
        return f"{self.noun}.{self.spec['verb']}:{self.spec.get('name', '')}".rstrip(":")

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, kw_only=True)
class Resource(ABC):
    """One thing on a host, as it should be. Made by the functions of `require.resources` only.

    Args:
        needs: keys of the resources that must be right before this one is touched.
        notify: what to do after this one has changed.
        role: the role that declared it.
        where: file and line of the declaration.
    """

    noun: ClassVar[str]
    wide: ClassVar[bool] = True
    """Whether applying it can change things that other resources look at; a file cannot."""
    probe_timeout_s: ClassVar[float] = 15.0

    needs: tuple[str, ...] = ()
    notify: tuple[Handler, ...] = ()
    role: str = ""
    where: Where = field(default=Where(), compare=False)

    @property
    @abstractmethod
    def key(self) -> str:
        """Unique on a host, such as "file:/etc/motd"."""

    @abstractmethod
    def question(self) -> Spec:
        """What the twin needs to look; JSON values, no secrets."""

    @abstractmethod
    def plan(self, state: State) -> Plan:
        """Compare what was seen with what is wished. Pure."""

    def order(self) -> Spec:
        """What the twin needs beyond the question to act; may hold `Secret` and bytes."""
        return {}

    def natural_needs(self) -> tuple[str, ...]:
        """Keys that this one needs if they are declared at all: parent directory, owner, …"""
        return ()


def keys(resources: Iterable[Resource]) -> tuple[str, ...]:
    """Return the keys of some resources, for `needs`."""
    return tuple(resource.key for resource in resources)
