"""What a host is called, where it looks others up, which time and language it has."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources.line import Line

_NAME = re.compile(
    r"(?!.{65})[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_LOCALE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?\.UTF-8|C\.UTF-8")


@dataclass(frozen=True, kw_only=True)
class Hostname(Resource):
    """What the host is called, now and after each boot.

    Args:
        name: as hostname(7) writes it.
    """

    noun: ClassVar[str] = "host"

    name: str

    @property
    def key(self) -> str:
        return "host.hostname"

    def question(self) -> Spec:
        return {"name": self.name}

    def plan(self, state: State) -> Plan:
        differs = [
            f"{what} {found if found is not None else 'not set'} → {self.name}"
            for what, found in (("running", state["running"]), ("at boot", state["kept"]))
            if found != self.name
        ]
        return Change(", ".join(differs)) if differs else NoChange()


@dataclass(frozen=True, kw_only=True)
class Timezone(Resource):
    """The time that people see on the host.

    Args:
        zone: name of the zone below /usr/share/zoneinfo.
    """

    noun: ClassVar[str] = "host"

    zone: str

    @property
    def key(self) -> str:
        return "host.timezone"

    def question(self) -> Spec:
        return {"zone": self.zone}

    def plan(self, state: State) -> Plan:
        if not state["known"]:
            return Unknown(f"until there is a zone {self.zone}")
        differs = []
        if state["zone"] != self.zone:
            differs.append(f"{state['zone'] or 'not set'} → {self.zone}")
        if state["named"] not in (None, self.zone):
            differs.append(f"/etc/timezone {state['named']} → {self.zone}")
        return Change(", ".join(differs)) if differs else NoChange()


@dataclass(frozen=True, kw_only=True)
class Locale(Resource):
    """The language that logins begin with, and the locales that exist.

    Args:
        lang: name of the locale.
        names: of all that must exist and are not part of the C library.
    """

    noun: ClassVar[str] = "host"

    lang: str
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        return "host.locale"

    def question(self) -> Spec:
        return {"locales": list(self.names)}

    def order(self) -> Spec:
        return {"lang": self.lang}

    def plan(self, state: State) -> Plan:
        missing = [name for name in self.names if name in state["missing"] + state["unlisted"]]
        if missing and not state["generates"]:
            return Unknown("until the package locales is installed")
        differs = [f"generate {', '.join(missing)}"] if missing else []
        if state["lang"] != self.lang:
            differs.append(f"LANG {state['lang'] or 'not set'} → {self.lang}")
        return Change(", ".join(differs)) if differs else NoChange()


def hostname(
    name: str, *, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()
) -> Hostname:
    """Declare what the host is called, now and after each boot.

    It is kept in /etc/hostname. What programs look its own name up in is /etc/hosts: Debian has a
    line for it there, see the example.

    Args:
        name: at most 64 letters, digits and hyphens; with dots if it is a full domain name.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: no host can be called so.

    Example:
        >>> require.host.hostname("EC-TAA")
        >>> require.host.hosts_entry("127.0.1.1", "EC-TAA")
    """
    return declared(Hostname(name=_name(name), needs=keys(needs), notify=tuple(notify)))


def hosts_entry(
    address: str, *names: str, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()
) -> Line:
    """Declare the address of some names in /etc/hosts.

    The line of this address whose first name is the first of these becomes this one, else it is
    added. Names that another line gives another address of the same kind are taken out of that
    line, for both would be answered. All else in the file is left alone.

    Args:
        address: of IPv4 or IPv6.
        names: at least one; the first is the proper one, the others stand for it.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: that is no address, there is no name, or no host can be called so.

    Example:
        >>> require.host.hosts_entry("10.100.64.1", "hangar.tower", "hangar")
    """
    try:
        plain = str(ipaddress.ip_address(address))
    except ValueError:
        raise DeclarationError(f"host.hosts_entry: {address!r}: wanted an address") from None
    if not names:
        raise DeclarationError(f"host.hosts_entry({address!r}): wanted a name, or several")
    entry = " ".join([plain, *map(_name, names)])
    return declared(
        Line(
            path="/etc/hosts",
            verb="hosts",
            text=entry,
            name=f"{names[0]}:{'6' if ':' in plain else '4'}",
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def timezone(
    zone: str, *, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()
) -> Timezone:
    """Declare the host's time zone.

    It is the link /etc/localtime. /etc/timezone, which Debian 13 no longer makes, is kept in step
    where it is there, and not made. What runs already goes on in the former zone until it starts
    anew.

    Args:
        zone: as in /usr/share/zoneinfo, from the package tzdata, or tzdata-legacy for former names.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: no zone can have that name.

    Example:
        >>> require.host.timezone("Etc/UTC")
    """
    if not _ZONE.fullmatch(zone):
        raise DeclarationError(f"host.timezone: {zone!r}: wanted a zone such as Europe/Madrid")
    return declared(Timezone(zone=zone, needs=keys(needs), notify=tuple(notify)))


def locale(
    lang: str,
    *,
    generate: Sequence[str] = (),
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Locale:
    """Declare the language that logins begin with (LANG in /etc/default/locale), and which locales
    exist.

    Those that exist already stay. C.UTF-8 is part of the C library; all others are made by the
    package locales, which is yours to declare before. Services have it from the next boot on.

    Args:
        lang: a locale such as "en_GB.UTF-8"; always UTF-8. It is generated too.
        generate: more of them.
        needs: resources that come first.
        notify: what to do after it has changed.

    Raises:
        DeclarationError: no locale of UTF-8 can be called so.

    Example:
        >>> require.apt.packages(["locales"])
        >>> require.host.locale("en_GB.UTF-8", generate=["es_ES.UTF-8"])
    """
    for name in (lang, *generate):
        if not _LOCALE.fullmatch(name):
            raise DeclarationError(f"host.locale: {name!r}: wanted a locale such as en_GB.UTF-8")
    names = tuple(name for name in dict.fromkeys((lang, *generate)) if name != "C.UTF-8")
    return declared(Locale(lang=lang, names=names, needs=keys(needs), notify=tuple(notify)))


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name!r} cannot be the name of a host: wanted at most 64 letters, digits and hyphens"
        )
    return name
