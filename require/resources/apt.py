"""Debian packages: which are installed, in which version, and which are not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.remote.apt import matches
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file, systemd
from require.resources.apt_sources import CONF, PROXY, Repository, preference, proxy, repository

__all__ = [
    "absent",
    "held",
    "packages",
    "preference",
    "proxy",
    "repository",
    "unattended_upgrades",
]

# A "-" at its end would tell apt to remove the package.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9][a-z0-9-]*)?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:-]*\*?")
_NO_DPKG = Unknown("there is no dpkg on this host", blocked=True)


@dataclass(frozen=True, kw_only=True)
class Packages(Resource):
    """Packages that are installed, in the version that is named or whichever the host is offered.

    Args:
        names: package names.
        versions: pairs of a name and the version wished of it; a "*" at its end is any end.
        recommends: whether what they recommend is installed too.
        sources: files of the repositories that they wait for.
    """

    noun: ClassVar[str] = "apt"

    names: tuple[str, ...]
    versions: tuple[tuple[str, str], ...] = ()
    recommends: bool = False
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"apt.packages:{','.join(self.names)}"

    def natural_needs(self) -> tuple[str, ...]:
        return (f"file:{PROXY}",)

    def question(self) -> Spec:
        spec: Spec = {"names": list(self.names)}
        if self.versions:
            spec["versions"] = dict(self.versions)
        if self.sources:
            spec["sources"] = list(self.sources)
        return spec

    def order(self) -> Spec:
        return {"recommends": self.recommends}

    def plan(self, state: State) -> Plan:
        if not state["dpkg"]:
            return _NO_DPKG
        wished, there = dict(self.versions), state.get("versions", {})
        missing = [
            f"{name}={wished[name]}" if name in wished else name for name in state["missing"]
        ]
        differs = [f"install {' '.join(missing)}"] if missing else []
        differs += [
            f"{name} {version} → {wished[name]}"
            for name, version in there.items()
            if not matches(version, wished[name])
        ]
        if differs and state.get("waiting"):
            return Unknown(f"until {', '.join(state['waiting'])} is there")
        return Change(", ".join(differs)) if differs else NoChange()


@dataclass(frozen=True, kw_only=True)
class Absent(Resource):
    """Packages that are not installed.

    Args:
        names: package names.
        purge: whether their configuration goes too.
    """

    noun: ClassVar[str] = "apt"

    names: tuple[str, ...]
    purge: bool = False

    @property
    def key(self) -> str:
        return f"apt.absent:{','.join(self.names)}"

    def question(self) -> Spec:
        return {"verb": "absent", "names": list(self.names), "purge": self.purge}

    def plan(self, state: State) -> Plan:
        if not state["dpkg"]:
            return _NO_DPKG
        verb = "purge" if self.purge else "remove"
        present = state["present"]
        return Change(f"{verb} {' '.join(present)}") if present else NoChange()


@dataclass(frozen=True, kw_only=True)
class Held(Resource):
    """Packages that no upgrade touches, or that upgrades may touch again.

    Args:
        names: package names.
        hold: on hold, or not.
    """

    noun: ClassVar[str] = "apt"

    names: tuple[str, ...]
    hold: bool = True

    @property
    def key(self) -> str:
        return f"apt.held:{','.join(self.names)}"

    def question(self) -> Spec:
        return {"verb": "held", "names": list(self.names)}

    def order(self) -> Spec:
        return {"hold": self.hold}

    def plan(self, state: State) -> Plan:
        if not state["dpkg"]:
            return _NO_DPKG
        if self.hold and state["missing"]:
            return Unknown(f"until {' '.join(state['missing'])} is installed")
        wrong = [name for name in self.names if (name in state["held"]) != self.hold]
        verb = "hold" if self.hold else "unhold"
        return Change(f"{verb} {' '.join(wrong)}") if wrong else NoChange()


def packages(
    names: Sequence[str],
    *,
    recommends: bool = False,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Packages:
    """Declare installed packages. As declared, they cost one question to dpkg, whatever their number.

    Nobody is asked anything, changed configuration files are kept, somebody else's apt is waited for
    (120 s), and what a power cut left half installed is finished first. The lists are fetched, once a
    run, only when a package is unknown or its file is no longer there: a host without a network
    installs what it has in its cache.

    Args:
        names: "nginx-light", "libc6:amd64", "nginx=1.26.3-3" for that version, or "nginx=1.26.*" for
            any that begins so; the version as dpkg prints it, its epoch ("5:8.0.2-3") included. Real
            packages, not virtual ones. A version that is named replaces a newer one, and a held one.
        recommends: install what they recommend too.
        needs: resources that must be right first, such as the `repository` that has them.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name or version that no package can have, one name twice, or none at all.

    Example:
        >>> require.apt.packages(["nginx-light", "redis-server=5:8.*"])
        >>> cabin = require.apt.repository("cabin", uris=["https://cabin.example/debian"],
        ...     suites=["trixie"], components=["main"], key=Path("cabin.asc").read_text())
        >>> require.apt.packages(["galley=1.4*"], needs=[cabin])
    """
    pairs = [] if isinstance(names, str) else [each.partition("=") for each in dict.fromkeys(names)]
    plain = _named("packages", [name for name, _, _ in pairs])
    for name, equals, version in pairs:
        if equals and not _VERSION.fullmatch(version):
            raise DeclarationError(
                f'apt.packages: {name}={version}: wanted a version such as "1.26.3-3" or "1.26.*"'
            )
    return declared(
        Packages(
            names=plain,
            versions=tuple((name, version) for name, equals, version in pairs if equals),
            recommends=recommends,
            sources=tuple(each.source.path for each in needs if isinstance(each, Repository)),
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def absent(
    names: Sequence[str],
    *,
    purge: bool = False,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Absent:
    """Declare packages that are not installed. As declared: "no change".

    Only what is named is removed: where others would go with it, or come in its place, that is
    refused and they are named. What it had brought with it stays.

    Args:
        names: package names, as for `packages`, without versions; one that nobody ever had is absent.
        purge: remove configuration and data of theirs too.
        needs, notify: as for `packages`.

    Raises:
        DeclarationError: a name that no package can have, one name twice, or none at all.

    Example:
        >>> require.apt.absent(["telnetd", "rsh-server"], purge=True)
    """
    return declared(
        Absent(names=_named("absent", names), purge=purge, needs=keys(needs), notify=tuple(notify))
    )


def held(
    names: Sequence[str],
    *,
    hold: bool = True,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Held:
    """Declare packages on hold: no upgrade changes or removes them, unattended ones neither.

    Args:
        names: package names, as for `packages`, without versions; installed, or to be by `needs`.
        hold: False takes the hold away.
        needs, notify: as for `packages`.

    Raises:
        DeclarationError: a name that no package can have, one name twice, or none at all.

    Example:
        >>> server = require.apt.packages(["postgresql-17=17.6-*"])
        >>> require.apt.held(["postgresql-17"], needs=[server])
    """
    return declared(
        Held(names=_named("held", names), hold=hold, needs=keys(needs), notify=tuple(notify))
    )


def unattended_upgrades(
    *,
    daily: bool = True,
    reboot_at: str = "",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> file.File:
    """Declare that security updates, and nothing else, are installed each day by the host itself.

    That is the package unattended-upgrades, a file in /etc/apt/apt.conf.d that replaces the origins
    it comes with, and systemd's two timers of apt.

    Args:
        daily: False stops the timers: then they are installed when somebody calls unattended-upgrade.
        reboot_at: hour and minute by the host's clock, as "03:30", at which it restarts when an
            update asks for that; "" never restarts it.
        needs, notify: as for `packages`; what is notified runs after the configuration changed.

    Raises:
        DeclarationError: `reboot_at` is no time of day, or a part is declared elsewhere.

    Example:
        >>> require.apt.unattended_upgrades()
    """
    if reboot_at and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", reboot_at):
        raise DeclarationError(
            f'apt.unattended_upgrades: reboot_at={reboot_at!r}: wanted such as "03:30"'
        )
    # The files are read in the order of their names: this one has the last word.
    reboot = f'"true";\nUnattended-Upgrade::Automatic-Reboot-Time "{reboot_at}"'
    text = _UPGRADES.format(daily=int(daily), reboot=reboot if reboot_at else '"false"')
    package = packages(["unattended-upgrades"], needs=needs)
    made = file.file(f"{CONF}/99turnaround-upgrades", content=text, needs=[package], notify=notify)
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        systemd.service(timer, enabled=daily, running=daily, needs=[made])
    return made


_UPGRADES = """// Written by turnaround.
APT::Periodic::Enable "{daily}";
APT::Periodic::Update-Package-Lists "{daily}";
APT::Periodic::Unattended-Upgrade "{daily}";
#clear Unattended-Upgrade::Allowed-Origins;
#clear Unattended-Upgrade::Origins-Pattern;
Unattended-Upgrade::Origins-Pattern {{
  "origin=Debian,codename=${{distro_codename}}-security,label=Debian-Security";
}};
Unattended-Upgrade::Automatic-Reboot {reboot};
"""


def _named(function: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return package names, each once."""
    wrong = isinstance(names, str) or not names
    if wrong or not all(_NAME.fullmatch(name) for name in names):
        raise DeclarationError(f"apt.{function}({names!r}): wanted a list of package names")
    twice = {name for name in names if list(names).count(name) > 1}
    if twice:
        raise DeclarationError(f"apt.{function}: {', '.join(sorted(twice))} is named twice")
    return tuple(names)
