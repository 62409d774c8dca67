"""Kernel settings: what runs now, and what is set again at boot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys


@dataclass(frozen=True, kw_only=True)
class Setting(Resource):
    """A kernel setting, now and after each boot.

    Args:
        name: with dots, as sysctl(8) writes it; a * stands for every name in its place.
        value: as the kernel prints it; several numbers with a blank between.
        now: in the running kernel too, not only at boot.
    """

    noun: ClassVar[str] = "sysctl"

    name: str
    value: str
    now: bool = True

    @property
    def key(self) -> str:
        return f"sysctl:{self.name}"

    def question(self) -> Spec:
        return {"name": self.name}

    def order(self) -> Spec:
        return {"value": self.value, "now": self.now}

    def plan(self, state: State) -> Plan:
        places = [("at boot", state["kept"])]
        if self.now:
            if state["running"] is None:
                return Unknown(f"this kernel has no setting {self.name}", blocked=True)
            places.insert(0, ("running", state["running"]))
        differs = [
            f"{what} {found if found is not None else 'not set'} → {self.value}"
            for what, found in places
            if found != self.value
        ]
        return Change(", ".join(differs)) if differs else NoChange()


def setting(
    name: str,
    value: str | int,
    *,
    now: bool = True,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Setting:
    """Declare a kernel setting, for the running kernel and for each boot.

    It is kept in a file of its own in /etc/sysctl.d, which systemd-sysctl reads at boot.

    Args:
        name: with dots, as in "net.core.default_qdisc"; for an interface whose name has a dot, that
            dot as a slash. A * stands for every name in its place that a look finds, and at boot for
            those that come later too.
        value: a number, a word, or several with blanks between.
        now: False leaves the running kernel as it is, which may be another's (a container's) or not
            have the setting yet.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: the name or the value is none that sysctl.d(5) could hold.

    Example:
        >>> require.sysctl.setting("net.ipv4.tcp_congestion_control", "bbr")
        >>> require.sysctl.setting("net.ipv4.tcp_rmem", "4096 131072 6291456")
        >>> require.sysctl.setting("net.ipv4.conf.*.accept_redirects", 0)
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+([./]([A-Za-z0-9_-]+|\*))+", name):
        raise DeclarationError(
            f"sysctl:{name}: wanted a name with dots such as net.ipv4.ip_forward"
        )
    text = " ".join(str(value).split())
    if not text or not text.isprintable():
        raise DeclarationError(f"sysctl:{name}: wanted a value in one line, found {value!r}")
    return declared(
        Setting(name=name, value=text, now=now, needs=keys(needs), notify=tuple(notify))
    )
