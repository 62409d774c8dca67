"""The Redis server: installed, running, and with the settings that are declared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from require.catalog import declared
from require.errors import DeclarationError
from require.resource import Change, Handler, Plan, Resource, Spec, State, Unknown, keys
from require.resources import apt, file, line, systemd

PATH = "/etc/redis/turnaround.conf"
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_PERSISTENCE = {
    "none": {"save": "", "appendonly": "no"},
    "snapshots": {"save": "3600 1 300 100 60 10000", "appendonly": "no"},
    "log": {"save": "", "appendonly": "yes"},
}
_POLICIES = (
    "noeviction",
    *(f"{of}-{which}" for of in ("allkeys", "volatile") for which in ("lru", "lfu", "random")),
    "volatile-ttl",
)


@dataclass(frozen=True, kw_only=True)
class Settings(file.File):
    """Settings in the file that the server reads at its start, and in the server.

    Args:
        settings: name and value, as the server tells them.
    """

    noun: ClassVar[str] = "redis"

    settings: tuple[tuple[str, str], ...]

    def question(self) -> Spec:
        return super().question() | {"names": [name for name, _ in self.settings]}

    def order(self) -> Spec:
        return super().order() | {"settings": dict(self.settings)}

    def plan(self, state: State) -> Plan:
        found = super().plan(state)
        running = state["running"]
        if isinstance(found, Unknown) or running is None:
            return found
        differs = [found.summary] if isinstance(found, Change) else []
        differs += [
            f"{name} {running.get(name) or 'none'} → {value or 'none'} in the running server"
            for name, value in self.settings
            if running.get(name) != value
        ]
        if not differs:
            return found
        return Change(", ".join(differs), found.diff if isinstance(found, Change) else "")


def server(
    *,
    max_memory: int | str | None = None,
    policy: str | None = None,
    persistence: Literal["none", "snapshots", "log"] | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Resource:
    """Declare Debian's Redis server: installed, running and starting at boot, on this host only.

    Settings are handed to the running server, which says what it does not take and loses nothing by
    it, and then kept in /etc/redis/turnaround.conf, which the package's redis.conf includes at its
    end. A look asks the server itself: a right file says nothing of one that was started before, or
    that somebody set otherwise.

    Args:
        max_memory: bytes, or a text such as "64mb"; 0 is no limit; None leaves it.
        policy: what goes when that is full: "noeviction", "allkeys-lru", "volatile-ttl", …; None
            leaves it.
        persistence: "none"; "snapshots" now and then, as the package has it; or a "log" of each
            change, on the disk within a second. None leaves it. A server that is stopped begins its
            log empty, whatever its snapshots hold.
        needs: resources that must be right first.
        notify: handlers to run after a change of the settings.

    Raises:
        DeclarationError: a value that the server would not take.

    Example:
        >>> require.redis.server(max_memory="64mb", policy="allkeys-lru", persistence="none")
    """
    settings: dict[str, str] = {}
    if max_memory is not None:
        settings["maxmemory"] = str(_bytes(max_memory))
    if policy is not None:
        if policy not in _POLICIES:
            raise DeclarationError(
                f"redis.server(): policy {policy!r}: wanted one of {', '.join(_POLICIES)}"
            )
        settings["maxmemory-policy"] = policy
    if persistence is not None:
        if persistence not in _PERSISTENCE:
            raise DeclarationError(
                f"redis.server(): persistence {persistence!r}: wanted none, snapshots or log"
            )
        settings |= _PERSISTENCE[persistence]
    before: list[Resource] = [apt.packages(["redis-server"], needs=needs)]
    if settings:
        lines = "".join(f'{name} "{value}"\n' for name, value in settings.items())
        made = declared(
            Settings(
                path=PATH,
                kind="file",
                content=f"# Written by turnaround.\n{lines}".encode(),
                mode=0o640,
                owner="root",
                group="redis",
                settings=tuple(settings.items()),
                needs=keys(before),
                notify=tuple(notify),
            )
        )
        # Not before the file is there: a server does not start without one that it includes.
        before += [made, line.line("/etc/redis/redis.conf", f"include {PATH}", needs=[made])]
    return systemd.service("redis-server", needs=before)


def _bytes(value: int | str) -> int:
    if isinstance(value, int) and value >= 0:
        return value
    found = re.fullmatch(r"(\d+)([kmg]b)", str(value))
    if not found:
        raise DeclarationError(f"redis.server(): max_memory {value!r}: wanted bytes or as in 64mb")
    return int(found[1]) * _UNITS[found[2]]
