"""How a synchronisation goes, seen from beside it: what waits, what moves now, how fast, what comes next.

It looks at the disk and the books, not at rsync: the staging files grow as bytes arrive, so nothing is asked
of the transfer, no flag changes, and a synchronisation of another process is seen as well as one's own. What
it cannot see is how far a single push has come; pushes are small, and their rows and bytes are told before.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, text

from common.clock import utc_now
from common.figures import size, span
from common.settings import Settings
from sync import behind, holding, policy
from sync.manifest import File, Item

__all__ = ["Coming", "Onlooker", "Seen"]

NEXT = 3
TITLE = 60  # characters
# What is told of speed is what it was lately: a link's changes.
SPEED_OVER_S = 20.0


@dataclass(frozen=True)
class Coming:
    """An item that is not whole yet; `here` of its `bytes` have arrived."""

    id: str
    kind: str
    title: str
    bytes: int
    here: int = 0


@dataclass(frozen=True)
class Seen:
    """One look. `up`: rows and bytes by stream, not acknowledged; `files`, `bytes`: content still to come;
    `left_s` is None while nothing arrives."""

    up: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    moving: Coming | None = None
    next: tuple[Coming, ...] = ()
    bytes_per_s: int = 0
    left_s: int | None = None

    def words(self) -> str:
        """The same in a line, what people want first at its beginning.

        >>> Seen(files=3, bytes=2_000_000, bytes_per_s=100_000, left_s=20).words()
        'content 3 files 2.0 MB, 100 kB/s, 20 s left'
        """
        said = []
        if self.files:
            now = f"content {self.files} files {size(self.bytes)}"
            if self.moving:
                here = size(self.moving.here)
                now = f"{_called(self.moving)} {here} of {size(self.moving.bytes)}"
            speed = f", {size(self.bytes_per_s)}/s" if self.bytes_per_s else ""
            left = "" if self.left_s is None else f", {span(self.left_s)} left"
            said.append(now + speed + left)
            following = [f"{_called(one)} {size(one.bytes - one.here)}" for one in self.next]
            if following:
                said.append(f"then {', '.join(following)}")
        if self.up:
            up = (f"{stream} {one['rows']} rows" for stream, one in self.up.items())
            said.append(f"not acknowledged: {', '.join(up)}")
        return "; ".join(said) or "nothing is left to come"


def _called(one: Coming) -> str:
    return f"{one.kind} {one.title or one.id}"


class Onlooker:
    """Looks again and again; each look costs a few stats for each file that is still missing.

    Args:
        settings: this aircraft's.
        engine: its database.
        clock: seconds, monotonic.
        now: time with zone.

    >>> Onlooker(settings, engine).look().bytes_per_s  # doctest: +SKIP
    1200000
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings, self._engine, self._clock, self._now = settings, engine, clock, now
        self._mark = -1, ""
        self._missing: dict[str, tuple[Item, list[File]]] = {}
        self._left: dict[str, int] = {}
        self._titles: dict[str, str] = {}
        self._came: deque[tuple[float, int]] = deque()

    def look(self) -> Seen:
        """Returns how it goes now; raises `SQLAlchemyError` when the books cannot be read."""
        before = dict(self._left)
        if self._follow():
            before = {}
        staged = _sizes(self._settings.content_dir / "staging")
        for id, (item, files) in list(self._missing.items()):
            files = [file for file in files if not self._have(file)]
            self._missing[id] = item, files
            self._left[id] = sum(max(0, one.size - staged.get(one.sha256, 0)) for one in files)
            if not files:
                del self._missing[id]
        came = {id: left - self._left[id] for id, left in before.items()}
        speed, left_bytes = self._speed(sum(came.values())), sum(self._left.values())
        moving = next((id for id in self._missing if came.get(id, 0) > 0), None)
        following = [id for id in self._missing if id != moving and self._left[id]][:NEXT]
        self._name([id for id in (moving, *following) if id])
        return Seen(
            up=self._waiting(),
            files=sum(len(files) for _, files in self._missing.values()),
            bytes=left_bytes,
            moving=self._coming(moving) if moving else None,
            next=tuple(map(self._coming, following)),
            bytes_per_s=round(speed),
            left_s=round(left_bytes / speed) if speed and left_bytes else None,
        )

    def _follow(self) -> bool:
        """Plan anew when another manifest is followed, or over another link, and say whether that was so."""
        # While one way goes and another comes there is none for a moment.
        link = policy.now(self._settings).interface or self._mark[1]
        mark, content = (holding.mark(self._settings), link), self._settings.content_dir
        if mark == self._mark:
            return False
        self._mark, manifest = mark, holding.offered(self._settings)
        self._missing, self._left = {}, {}
        if manifest is None:
            return True
        for items, files in holding.left(
            content, manifest, holding.read(content), link, self._now()
        ):
            lacking = {file.sha256: file for file in files}
            for item in items:
                own = [lacking.pop(one.sha256) for one in item.files if one.sha256 in lacking]
                if own:
                    self._missing[item.id] = item, own
        return True

    def _have(self, file: File) -> bool:
        return holding.have(self._settings.content_dir, file)

    def _speed(self, came: int) -> float:
        """Bytes per second of late; what came before the first look was not seen coming."""
        now, total = self._clock(), self._came[-1][1] if self._came else 0
        self._came.append((now, total + max(0, came)))
        # Before the first byte the rows go; that says nothing of the link.
        while len(self._came) > 1 and (
            self._came[1][0] <= now - SPEED_OVER_S or self._came[1][1] == self._came[0][1]
        ):
            self._came.popleft()
        since, before = self._came[0]
        return (self._came[-1][1] - before) / max(now - since, 0.001)

    def _waiting(self) -> dict[str, dict[str, int]]:
        with self._engine.connect() as connection:
            found = behind.waiting(connection, self._settings.role)
        return {
            stream: {"rows": one["rows"], "bytes": one["bytes"]}
            for stream, one in found.items()
            if one["rows"]
        }

    def _name(self, ids: Collection[str]) -> None:
        unknown = [id for id in ids if id not in self._titles]
        if not unknown:
            return
        with self._engine.connect() as connection:
            rows = connection.execute(
                text("select id, title from item where id = any(cast(:ids as uuid[]))"),
                {"ids": unknown},
            ).all()
        language = self._settings.language
        for id, title in rows:
            self._titles[str(id)] = str(title.get(language) or next(iter(title.values()), ""))[
                :TITLE
            ]

    def _coming(self, id: str) -> Coming:
        item, _ = self._missing[id]
        title = self._titles.get(id, "")
        return Coming(id, item.kind, title, item.size, item.size - self._left[id])


def _sizes(folder: Path) -> dict[str, int]:
    sizes = {}
    # What is whole is moved away at any moment.
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for one in found:
            with suppress(FileNotFoundError):
                sizes[one.name] = one.stat(follow_symlinks=False).st_size
    return sizes
