"""Debian packages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Packages(Resource):
    """Packages that are installed, in whichever version the host's archive offers.

    Args:
        names: package names.
        recommends: whether what they recommend is installed too.
    """

    noun: ClassVar[str] = "apt"

    names: tuple[str, ...]
    recommends: bool = False

    @property
    def key(self) -> str:
        return f"apt.packages:{','.join(self.names)}"

    def question(self) -> Spec:
        return {"names": list(self.names)}

    def order(self) -> Spec:
        return {"recommends": self.recommends}

    def plan(self, state: State) -> Plan:
        if not state["dpkg"]:
            return Unknown("there is no dpkg on this host", blocked=True)
        missing = state["missing"]
        return Change(f"install {' '.join(missing)}") if missing else NoChange()


def packages(
    names: Sequence[str],
    *,
    recommends: bool = False,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Packages:
    """Declare installed packages. One look at dpkg's status for all; no index is fetched unless a
    package is unknown or its file is no longer there.

    Args:
        names: package names, "nginx-light" or "libc6:amd64"; real ones, not virtual.
        recommends: install what they recommend too.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no package can have, or none at all.

    Example:
        >>> require.apt.packages(["nginx-light", "redis-server"])
    """
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong or not names or isinstance(names, str):
        raise DeclarationError(f"apt.packages({names!r}): wanted a list of package names")
    return declared(
        Packages(
            names=tuple(dict.fromkeys(names)),
            recommends=recommends,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )
