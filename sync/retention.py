"""Retention: what stays aboard, and what goes first when the disk is nearly full.

Statistics that the hangar has acknowledged, which means that it cannot lose them again, go after `KEPT`.
When less of the disk is free than `LOW`, which films do not touch, they go at once; then, if that is not
enough, the oldest statistics that were never sent go, a slice at a time, and one row of `usage_gap` for each
slice tells the hangar how many they were and of when. What else travels is never removed here: records and
payments wait for as long as it takes.

A removed row leaves its space in its table (`sync.space`). That is as good as free, because what made the
disk full, new rows, takes it: it is given back to the disk only where that needs no room which is not there.

Of unsent statistics only those go that no batch has claimed. A claimed row is in a change-set with a number
and a hash that the next one builds upon, so that file could not be left out; it may be at the hangar already,
and a gap would then tell of what is there; and the file weighs a tenth of the row, once it is acknowledged.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, insert, text

from common.clock import utc_now
from common.schema import Base, UsageGap, travelling
from common.settings import Settings
from common.uuid7 import uuid7
from sync import space
from sync.capture import SENDS, spec
from sync.seal import alone
from sync.steps import untold

__all__ = [
    "STEPS",
    "Disk",
    "Kept",
    "keep",
    "lacking",
    "low",
    "make_room",
    "rows_of",
    "statistics",
    "writable",
]

STEPS = ("pruned", "removed", "noted", "dropped", "compacted")

KEPT = timedelta(days=7)
# Twice what PostgreSQL's write-ahead log is told to take (roles/database.py), because it may take more; a
# server that has no room for it stops. Of a small disk it is a tenth.
LOW, SMALL_DISK = 2 * 2**30, 10
# Of what is to be free, the part that tables are never written anew into: what the log is told to take; and
# the part that it is worth writing them anew for.
LOG, WORTH = 2, 8
# Each is compared with all that is recorded, in memory.
SLICE = 50_000
_FIRST_KEY, _LAST_KEY = UUID(int=0), UUID(int=2**128 - 1)
_SAME = "d.stream = :stream and d.tbl = :tbl and d.pk = o.pk"
_RECORDED = f"using sync.dirty d where {_SAME}"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Disk:
    """The disk that the database is on, in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Kept:
    """What was removed: rows that the hangar has, and rows that nobody has."""

    acknowledged: int = 0
    unsent: int = 0


def _disk(settings: Settings) -> Disk:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    found = shutil.disk_usage(settings.state_dir)
    return Disk(found.free, found.total)


def statistics() -> list[type[Base]]:
    """Return the models whose rows may go when the disk is full.

    >>> [model.__tablename__ for model in statistics()]
    ['usage_event']
    """
    return [
        model
        for model in travelling(SENDS["aircraft"])
        if spec(model).retention == "statistic" and spec(model).mode == "append"
    ]


def low(total: int) -> tuple[int, int]:
    """Return how little may be free of a disk of so many bytes, and how much is made free then.

    >>> low(200 * 2**30), low(10 * 2**30)
    ((2147483648, 2684354560), (1073741824, 1342177280))
    """
    least = min(LOW, total // SMALL_DISK)
    return least, least + least // 4


def lacking(disk: Disk) -> int:
    """Return how many bytes have to become free; 0 unless there is too little room.

    >>> lacking(Disk(free=10 * 2**30, total=200 * 2**30)), lacking(Disk(free=2**30, total=200 * 2**30))
    (0, 1610612736)
    """
    least, again = low(disk.total)
    return 0 if disk.free >= least else again - disk.free


def writable(disk: Disk) -> int:
    """Return how many bytes may be written to make tables smaller; the log has what it needs meanwhile.

    >>> writable(Disk(free=3 * 2**29, total=200 * 2**30))
    536870912
    """
    return max(0, disk.free - low(disk.total)[0] // LOG)


def rows_of(size: int, taken: int, rows: int) -> int:
    """Return how many rows take so many bytes, where `rows` rows take `taken` bytes with all that is of them.

    >>> rows_of(20, taken=500, rows=50)
    2
    """
    return min(rows, ceil(size * rows / taken)) if rows else 0


def keep(
    engine: Engine,
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    disk: Callable[[Settings], Disk] = _disk,
    at: Callable[[str], None] = untold,
) -> Kept:
    """Remove what need not stay aboard any longer, and make room; returns what went.

    Arguments: `at` is told each step of `STEPS`; tests kill there. What was done until then stays done.

    >>> keep(engine, settings)  # doctest: +SKIP
    Kept(acknowledged=20000, unsent=0)
    """
    old = sum(_prune(engine, model, clock() - KEPT, at) for model in statistics())
    kept = make_room(engine, settings, clock=clock, disk=disk, at=at)
    return Kept(old + kept.acknowledged, kept.unsent)


def make_room(
    engine: Engine,
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    disk: Callable[[Settings], Disk] = _disk,
    at: Callable[[str], None] = untold,
) -> Kept:
    """Remove statistics if there is too little room on the disk; returns what went.

    It costs next to nothing if there is enough; where another process is at it already, that is left to it.
    What removed rows took inside the tables counts as free: new rows take it, whether or not it can be given
    back to the disk now.
    """
    # Of two who saw that the same bytes are lacking, each would remove as much.
    with _the_only_one(engine) as only:
        models = statistics() if only else []
        found = [_make_room(engine, settings, model, clock, disk, at) for model in models]
    return Kept(sum(one.acknowledged for one in found), sum(one.unsent for one in found))


@contextmanager
def _the_only_one(engine: Engine) -> Iterator[bool]:
    """Say whether nobody else makes room now, and let nobody else as long as it lasts."""
    lock = {"key": "turnaround make room"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Nobody waits: a table takes its time to be made smaller, and a synchronisation has half an hour.
        only = connection.scalar(
            text("select pg_try_advisory_lock(hashtextextended(:key, 0))"), lock
        )
        try:
            yield bool(only)
        finally:
            if only:
                connection.execute(
                    text("select pg_advisory_unlock(hashtextextended(:key, 0))"), lock
                )


def _make_room(
    engine: Engine,
    settings: Settings,
    model: type[Base],
    clock: Callable[[], datetime],
    disk: Callable[[Settings], Disk],
    at: Callable[[str], None],
) -> Kept:
    found = disk(settings)
    if not lacking(found):
        return Kept()
    tables = (f"public.{model.__tablename__}", "sync.dirty")
    with engine.begin() as connection:
        # Of a table that is taken for small, a plan hashes all rows: into files of this disk.
        connection.execute(text("analyze sync.dirty"))
    gone = _prune(engine, model, None, at)
    spaces = [space.measure(engine, table) for table in tables]
    size = lacking(Disk(found.free + _spare(spaces), found.total))
    rows = rows_of(size, sum(one.needed for one in spaces), spaces[0].rows)
    lost = _drop(engine, settings.node, model, rows, clock, at)
    if lost:
        log.warning(
            "%s: the disk is full: the oldest %d rows of %s, which were never sent, were removed; "
            "the hangar will be told that they are missing",
            settings.node,
            lost,
            model.__tablename__,
        )
        spaces = [space.measure(engine, table) for table in tables]
    worth = _spare(spaces) >= low(found.total)[0] // WORTH
    if gone or lost or worth:
        space.compact(engine, spaces, lambda: writable(disk(settings)) if worth else 0)
        at("compacted")
    return Kept(gone, lost)


def _spare(spaces: Iterable[space.Space]) -> int:
    return sum(one.spare for one in spaces)


def _prune(
    engine: Engine, model: type[Base], before: datetime | None, at: Callable[[str], None]
) -> int:
    """Remove acknowledged rows whose keys are of before that time, or all: they are not recorded any more."""
    table = model.__tablename__
    key = {"stream": spec(model).stream, "tbl": table, "slice": SLICE, "after": _FIRST_KEY}
    # A clock that began at 1970 has no week before it.
    since_ms = 0 if before is None else max(0, int(before.timestamp() * 1000))
    key["end"] = _LAST_KEY if before is None else UUID(int=since_ms << 80)
    removed = 0
    while True:
        # Slices, because what a transaction writes to the log cannot be freed before it ends.
        with engine.begin() as connection:
            looked_at = _lay_out(
                connection,
                f"select id from {table} where id > :after and id < :end "  # noqa: S608  # our own names
                "order by id limit :slice",
                key,
            )
            if not looked_at:
                return removed
            key["after"] = connection.scalar(text("select pk from slice order by pk desc limit 1"))
            connection.execute(text(f"delete from slice o {_RECORDED}"), key)  # noqa: S608
            gone = connection.execute(
                text(f"delete from {table} t using slice o where t.id = o.pk")  # noqa: S608
            ).rowcount
        if gone:
            removed += gone
            at("pruned")
        if looked_at < SLICE:
            # What is written while this goes on is not acknowledged, and to follow it may have no end.
            return removed


def _lay_out(connection: Connection, query: str, key: Mapping[str, Any]) -> int:
    """Put the keys that the query gives into the table `slice`; returns how many they are.

    What is looked for is compared with these few, because a plan that sorts or hashes all that is recorded
    writes to the disk that has no room.
    """
    connection.execute(text("create temp table slice (pk uuid) on commit drop"))
    count = connection.execute(text(f"insert into slice {query}"), key).rowcount
    connection.execute(text("analyze slice"))
    return count


def _drop(
    engine: Engine,
    node: str,
    model: type[Base],
    wanted: int,
    clock: Callable[[], datetime],
    at: Callable[[str], None],
) -> int:
    """Remove so many of the oldest unsent rows, or all of them; returns how many that were."""
    if not wanted:
        return 0
    dropped = 0
    after: int | None = 0
    # No batch may claim what is being removed.
    with alone(engine, spec(model).stream):
        while after is not None and dropped < wanted:
            most = min(SLICE, wanted - dropped)
            with engine.begin() as connection:
                count, after = _drop_slice(connection, node, model, after, most, clock(), at)
            at("dropped")
            dropped += count
    return dropped


def _drop_slice(
    connection: Connection,
    node: str,
    model: type[Base],
    after: int,
    most: int,
    now: datetime,
    at: Callable[[str], None],
) -> tuple[int, int | None]:
    """Remove the oldest rows that no batch has claimed and note the gap.

    Returns how many went, and after which number of `sync.dirty` the next slice begins; None at the end.
    """
    key = {"stream": spec(model).stream, "tbl": model.__tablename__, "after": after, "most": most}
    unclaimed = (
        "from sync.dirty where stream = :stream and tbl = :tbl and batch is null and id > :after "
        "order by id limit :most"
    )
    found, last = connection.execute(
        text(f"select count(*), max(id) from (select id {unclaimed}) oldest"),  # noqa: S608
        key,
    ).one()
    _lay_out(connection, f"select distinct pk from (select pk {unclaimed}) oldest", key)  # noqa: S608
    connection.execute(text(f"delete from slice o {_RECORDED} and d.batch is not null"), key)  # noqa: S608
    connection.execute(text(f"delete from sync.dirty d using slice o where {_SAME}"), key)  # noqa: S608
    count, first_at, last_at = connection.execute(
        text(
            f"with gone as (delete from {model.__tablename__} t using slice o "  # noqa: S608
            "where t.id = o.pk returning t.at) select count(*), min(at), max(at) from gone"
        )
    ).one()
    at("removed")
    if count:
        gap = {"id": uuid7(), "first_at": first_at, "last_at": last_at, "events": count}
        connection.execute(insert(UsageGap).values(**gap, at=now, aircraft=node))
        at("noted")
    return count, last if found == most else None
