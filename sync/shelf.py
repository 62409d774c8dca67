"""Which change-sets an aircraft is offered: those that it lacks, or a snapshot and those after it.

Whichever is fewer bytes, and never more than 1.05 × what a snapshot of now would be (or `LITTLE`). How large
that is nobody knows before it is sealed, so it is reckoned: the last one's size, by how many rows there are
now. Where an aircraft would get more, one is sealed, and all others like it find that one. So sealing
follows what was changed, not how many aircraft there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from common.health import schema_version
from common.settings import Settings
from sync import changeset, epoch, files, forgotten, snapshot
from sync.capture import models_of
from sync.heard import mapping

__all__ = ["Choice", "Shelf", "Told", "choose", "lay_out", "look", "suffices"]

# Of the 1.05 that are promised: the rest is for what the reckoning is off.
MOST = 1.03
# What is less than this is not worth a file of its own.
LITTLE = 4096
# A heartbeat comes every few seconds; after so long what it said of a transfer is not so any more.
SILENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Shelf:
    """What lies ready of a stream: sizes in bytes, by number; `head` is the last change-set.

    Arguments: `estimate` is how large a snapshot of now would be, None when there never was one; `newest`
    are the snapshots of the schema of now; `from_nothing`: its change-sets have all rows from the first on;
    `withdrawn` are the snapshots that may have somebody who was erased since.
    """

    epoch: UUID
    head: int
    deltas: Mapping[int, int]
    snapshots: Mapping[int, int]
    estimate: float | None
    newest: frozenset[int] = frozenset()
    from_nothing: bool = False
    withdrawn: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Told:
    """What an aircraft's last heartbeat said of a stream.

    Arguments: `after` is the last change-set that it has of this history, None if it is in none or another;
    `whole`: it asks for a snapshot; `pulling`: it is in the middle of a transfer.
    """

    after: int | None = None
    whole: bool = False
    pulling: bool = False


@dataclass(frozen=True)
class Choice:
    """A snapshot, if any, and the change-sets from `first` to the head; `bytes` in all."""

    bytes: int
    snapshot: int | None
    first: int


def choose(shelf: Shelf, told: Told, stay: int | None = None) -> Choice | None:
    """Return the fewest bytes that bring an aircraft up to date with what is there, None if nothing does.

    Arguments: `stay` is the snapshot that it is pulling: another one would make it begin again.

    >>> choose(Shelf(UUID(int=0), 3, {1: 10, 2: 900, 3: 900}, {2: 1000}, 1000), Told(after=1))
    Choice(bytes=1800, snapshot=None, first=2)
    """
    choices: list[tuple[int | None, int, int]] = []
    if told.after is not None and not told.whole:
        choices.append((None, told.after + 1, 0))
    least = -1 if told.after is None else told.after
    # One that is withdrawn is for who has half of it already: the change-set after it erases the person.
    kept = {stay} if told.pulling else set()
    for number, size in shelf.snapshots.items():
        if number in shelf.withdrawn - kept:
            continue
        if (number >= least and number in shelf.newest) if told.whole else number > least:
            choices.append((number, number + 1, size))
    found = []
    for whole, first, size in choices:
        after = range(first, shelf.head + 1)
        if all(number in shelf.deltas for number in after):
            of_all = size + sum(shelf.deltas[number] for number in after)
            found.append(Choice(of_all, whole, first))
    if told.pulling:
        found = [one for one in found if one.snapshot == stay] or found
    return min(found, key=lambda one: one.bytes, default=None)


def suffices(shelf: Shelf, told: Told, choice: Choice | None) -> bool:
    """Return whether a choice is no more than a new snapshot would be, as far as that can be reckoned.

    Who pulls is not disturbed; the next synchronisation is measured anew.
    """
    if choice is None or told.pulling or told.whole:
        return choice is not None
    return choice.bytes <= max(MOST * (shelf.estimate or 0), LITTLE)


def look(engine: Engine, settings: Settings, stream: str) -> Shelf:
    """Return what lies ready of a stream."""
    version = schema_version(engine)
    with engine.connect() as connection:
        last = epoch.head(connection, stream)
        base = connection.scalar(
            text("select base from sync.epoch where stream = :stream"), {"stream": stream}
        )
        rows = connection.execute(
            text(
                "select s.seq, s.bytes, s.rows, s.schema_version, b.live from sync.snapshot s "
                "left join sync.batch b on (b.stream, b.epoch, b.seq) = (s.stream, s.epoch, :head) "
                "where (s.stream, s.epoch) = (:stream, :epoch) order by s.seq"
            ),
            {"stream": stream, "epoch": last.epoch, "head": last.seq},
        ).all()
    folder = files.sealed_path(settings, stream, last.epoch, 1).parent
    lying = dict(files.snapshots(folder))
    estimate = None
    if rows:
        old = rows[-1]
        now = old.rows if old.seq == last.seq or old.live is None else old.live
        estimate = old.bytes * now / max(old.rows, 1)
    return Shelf(
        last.epoch,
        last.seq,
        _sizes(files.change_sets(folder)),
        {row.seq: row.bytes for row in rows if row.seq in lying},
        estimate,
        frozenset(row.seq for row in rows if row.schema_version == version),
        base == changeset.GENESIS,
        frozenset(row.seq for row in rows if row.schema_version == forgotten.WITHDRAWN),
    )


def _sizes(found: Iterable[tuple[int, Path]]) -> dict[int, int]:
    return {seq: path.stat().st_size for seq, path in found}


@dataclass
class _Heard:
    """An aircraft's last heartbeat, as far as it can be read."""

    body: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None

    def of(self, stream: str, shelf: Shelf, now: datetime) -> Told:
        there = mapping(mapping(self.body.get("down")).get(stream))
        nothing = 0 if shelf.from_nothing and not there.get("epoch") else None
        after = there.get("seq") if there.get("epoch") == str(shelf.epoch) else nothing
        tables = {model.__tablename__ for model in models_of("hangar", stream)}
        return Told(
            after if isinstance(after, int) else None,
            bool(tables & set(mapping(self.body.get("needs")))),
            self.body.get("syncing") is True and self.at is not None and now - self.at < SILENCE,
        )


def lay_out(
    engine: Engine,
    settings: Settings,
    base: Path,
    body: object,
    heard: datetime | None,
    now: datetime,
    shelves: MutableMapping[str, Shelf],
) -> None:
    """Make an aircraft's folder `base` hold the files that it should pull, of every stream.

    Arguments: `body` is its last heartbeat, or anything, and `heard` when that came; `shelves` are those
    that were looked at already, by stream.
    """
    said = _Heard(mapping(body), heard)
    with engine.connect() as connection:
        streams = connection.scalars(text("select stream from sync.epoch order by stream")).all()
    for stream in streams:
        try:
            _lay_out(engine, settings, stream, base, said, now, shelves)
        except FileNotFoundError:
            # Somebody removed what nobody seemed to need any more.
            shelves.pop(stream, None)
            _lay_out(engine, settings, stream, base, said, now, shelves)


def _lay_out(
    engine: Engine,
    settings: Settings,
    stream: str,
    base: Path,
    said: _Heard,
    now: datetime,
    shelves: MutableMapping[str, Shelf],
) -> None:
    shelf = shelves.get(stream) or look(engine, settings, stream)
    told = said.of(stream, shelf, now)
    source = files.sealed_path(settings, stream, shelf.epoch, 1).parent
    target = base / "down" / stream / source.name
    stay = max((seq for seq, _ in files.snapshots(target)), default=None)
    choice = choose(shelf, told, stay)
    if not suffices(shelf, told, choice):
        snapshot.seal(engine, settings, stream)
        shelf = look(engine, settings, stream)
        choice = choose(shelf, said.of(stream, shelf, now), stay)
    shelves[stream] = shelf
    if choice:
        _make(target, source, shelf.head, choice)
    for former in files.epoch_folders(target.parent):
        if former != target:
            _remove_others(former, set())


def _make(target: Path, source: Path, head: int, choice: Choice) -> None:
    wanted = {
        path.name: path for seq, path in files.change_sets(source) if choice.first <= seq <= head
    }
    wanted |= {path.name: path for seq, path in files.snapshots(source) if seq == choice.snapshot}
    target.mkdir(parents=True, exist_ok=True)
    for name, path in wanted.items():
        link = target / name
        if link.exists() and not link.samefile(path):
            link.unlink()
        if not link.exists():
            os.link(path, link)
    _remove_others(target, set(wanted))


def _remove_others(folder: Path, wanted: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
