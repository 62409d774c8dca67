"""Sealing: changed rows become a numbered, immutable file, and no change is ever left behind.

The rule is to claim by row, not by range. In one REPEATABLE READ transaction the unclaimed keys are
marked with the batch's number and their rows are read from the same snapshot. A transaction that
commits later is simply still unclaimed and goes into the next batch: sequences, clocks and
transaction ids play no part.

The order survives a power cut: write to tmp, fsync, COMMIT (`sealed`, with the file's hash), note it
outside the database (`sync.epoch`), rename into the outbox, fsync the folder, mark `published`. A batch
found `sealed` at the next start is finished when its file is whole, or else unclaimed and sealed again
under the same number, because nobody can have seen it. A published file never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text

from common.clock import utc_now
from common.health import schema_version
from common.schema import Base, travelling
from common.settings import Settings
from sync import changeset, epoch, export, files
from sync.capture import SENDS, models_of, spec
from sync.steps import untold

__all__ = ["STEPS", "Sealed", "alone", "own_streams", "seal", "seal_all"]

STEPS = ("claimed", "written", "committed", "noted", "renamed", "published")
ROWS = 100_000
RAW_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Sealed:
    """A batch as its ledger has it."""

    stream: str
    seq: int
    sha256: str
    bytes: int
    rows: int


def own_streams(role: str) -> list[str]:
    """Return the streams that a host of this role sends.

    >>> own_streams("aircraft")
    ['pay', 'use', 'usr']
    """
    return sorted({spec(model).stream for model in travelling(SENDS[role])})


def seal_all(
    engine: Engine,
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    at: Callable[[str], None] = untold,
) -> list[Sealed]:
    """Seal whatever changed, for every stream this host sends."""
    sealed = []
    for stream in own_streams(settings.role):
        sealed += seal(engine, settings, stream, clock=clock, at=at)
    return sealed


def seal(
    engine: Engine,
    settings: Settings,
    stream: str,
    *,
    clock: Callable[[], datetime] = utc_now,
    rows: int = ROWS,
    at: Callable[[str], None] = untold,
) -> list[Sealed]:
    """Finish what a crash left, then seal the stream's unclaimed changes; returns the new batches.

    A batch has at most `rows` keys. What commits while it seals may stay for the next time: who writes
    without a pause does not keep a push from beginning. Arguments: `at` is told each step (`STEPS`, and
    `epoch.STEPS` where a new history begins); tests kill there.

    >>> seal(engine, settings, "use")  # doctest: +SKIP
    [Sealed(stream='use', seq=12, sha256='…', bytes=3120, rows=180)]
    """
    made: list[Sealed] = []
    with alone(engine, stream):
        epoch.follow(engine, settings, stream, at)
        # Behind the same lock: no batch may follow one whose end is not known yet.
        _recover(engine, settings, stream)
        while True:
            try:
                batch, whole = _seal_one(engine, settings, stream, clock(), rows, at)
            except export.TooLarge:
                rows = max(1, rows // 2)
                continue
            if batch:
                made.append(batch)
            if whole:
                return made


def _recover(engine: Engine, settings: Settings, stream: str) -> None:
    """Bring the ledger and the outbox together after a crash; nothing to do is fine."""
    with engine.connect() as connection:
        left = connection.execute(
            text(
                "select epoch, seq, sha256, prev_sha256 from sync.batch "
                "where stream = :stream and state = 'sealed' order by seq"
            ),
            {"stream": stream},
        ).all()
    for batch in left:
        written = _tmp_path(settings, stream, batch.seq)
        final = files.sealed_path(settings, stream, batch.epoch, batch.seq)
        if files.sha256_of(final) == batch.sha256:
            files.fsync(final.parent)
            _publish(engine, settings, stream, batch)
        elif files.sha256_of(written) == batch.sha256:
            epoch.note(settings, stream, epoch.Noted(batch.epoch, batch.seq, batch.sha256))
            files.move(written, final)
            _publish(engine, settings, stream, batch)
        else:
            # Back first: what is noted and not in the books means that they went back.
            before = epoch.Noted(batch.epoch, batch.seq - 1, batch.prev_sha256)
            epoch.note(settings, stream, before)
            _unclaim(engine, stream, batch)
    for orphan in files.tmp(settings).glob(f"{stream}-*.cs"):
        orphan.unlink()


@contextmanager
def alone(engine: Engine, stream: str) -> Iterator[None]:
    """Hold what nobody else may hold who claims, or unclaims, changes of the stream."""
    # The lock is taken before the snapshot, or the snapshot would not have the former batch in it.
    lock = {"key": f"turnaround seal {stream}"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("select pg_advisory_lock(hashtextextended(:key, 0))"), lock)
        try:
            yield
        finally:
            connection.execute(text("select pg_advisory_unlock(hashtextextended(:key, 0))"), lock)


def _tmp_path(settings: Settings, stream: str, seq: int) -> Path:
    return files.tmp(settings) / f"{stream}-{changeset.file_name(seq)}"


def _seal_one(
    engine: Engine,
    settings: Settings,
    stream: str,
    now: datetime,
    rows: int,
    at: Callable[[str], None],
) -> tuple[Sealed | None, bool]:
    """Seal a batch, if there is anything; and whether that was all there was in its snapshot."""
    version = schema_version(engine)
    models = models_of(settings.role, stream)
    snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with snapshot as connection, connection.begin():
        its_epoch, seq, prev = _next(connection, stream)
        claimed = _claim(connection, stream, seq, models, rows)
        if not claimed:
            return None, True
        at("claimed")
        header = changeset.Header(
            stream=stream,
            epoch=str(its_epoch),
            seq=seq,
            first_seq=seq,
            prev_sha256=prev,
            schema=version,
            node=settings.node,
            created=now.isoformat(),
            tables=tuple(export.table(connection, model) for model in models),
        )
        written = _tmp_path(settings, stream, seq)
        most = None if rows == 1 else RAW_BYTES
        sha256, size = export.write(connection, written, header, models, most)
        at("written")
        changed = sum(one.upserts + one.deletes for one in header.tables)
        sealed = Sealed(stream, seq, sha256, size, changed)
        connection.execute(
            text(
                "insert into sync.batch (stream, epoch, seq, prev_sha256, sha256, bytes, rows, "
                "schema_version, state, created_at, live) values (:stream, :epoch, :seq, :prev, "
                ":sha256, :bytes, :rows, :version, 'sealed', :now, :live)"
            ),
            {
                "stream": stream,
                "epoch": its_epoch,
                "seq": seq,
                "prev": prev,
                "sha256": sha256,
                "bytes": size,
                "rows": sealed.rows,
                "version": version,
                "now": now,
                "live": _live(connection, models) if settings.role == "hangar" else None,
            },
        )
        batch = connection.execute(
            text(
                "select epoch, seq, sha256 from sync.batch "
                "where stream = :stream and epoch = :epoch and seq = :seq"
            ),
            {"stream": stream, "epoch": its_epoch, "seq": seq},
        ).one()
    at("committed")
    epoch.note(settings, stream, epoch.Noted(its_epoch, seq, sha256))
    at("noted")
    files.move(written, files.sealed_path(settings, stream, its_epoch, seq))
    at("renamed")
    _publish(engine, settings, stream, batch)
    at("published")
    return sealed, claimed < rows


def _next(connection: Connection, stream: str) -> tuple[UUID, int, str]:
    """Return the epoch, the number and the predecessor's hash of the batch to come."""
    row = connection.execute(
        text(
            "select e.epoch, coalesce(b.seq, 0) as seq, coalesce(b.sha256, e.base) as sha256 "
            "from sync.epoch e left join sync.batch b using (stream, epoch) "
            "where e.stream = :stream order by b.seq desc nulls last limit 1"
        ),
        {"stream": stream},
    ).one()
    return row.epoch, row.seq + 1, row.sha256


def _live(connection: Connection, models: list[type[Base]]) -> int:
    tables = " union all ".join(f"select count(*) as n from {one.__tablename__}" for one in models)  # noqa: S608
    return int(connection.execute(text(f"select sum(n) from ({tables}) t")).scalar_one())  # noqa: S608


def _claim(
    connection: Connection, stream: str, seq: int, models: list[type[Base]], rows: int
) -> int:
    """Mark up to so many recorded changes with the batch's number; returns how many there were.

    Parents first, so that a capped batch never carries a child whose parent is still to come. A table that
    only a newer release knows is not asked for: no row of it would be in the file, its key forgotten.
    """
    connection.execute(text(export.CLAIMED))
    claimed = 0
    for model in models:
        if claimed == rows:
            break
        name = model.__tablename__
        # When an edit comes can decide if it wins. Of statistics any may come first: to sort a million
        # of them would cost as much as to mark a tenth.
        order = "" if spec(model).retention == "statistic" else "order by id"
        claimed += connection.execute(
            text(
                "with marked as (update sync.dirty set batch = :seq where ctid = any (array("  # noqa: S608
                "select ctid from sync.dirty where stream = :stream and batch is null "
                f"and tbl = :name {order} limit :rows)) returning pk), "
                "found as (insert into claimed select :name, key.pk, t.ctid "
                "from (select distinct pk from marked order by pk) key "
                f"left join {name} t on t.id = key.pk) "
                "select count(*) from marked"
            ),
            {"stream": stream, "seq": seq, "rows": rows - claimed, "name": name},
        ).scalar_one()
    return claimed


def _publish(engine: Engine, settings: Settings, stream: str, batch: Row[Any]) -> None:
    key = {"stream": stream, "epoch": batch.epoch, "seq": batch.seq}
    with engine.begin() as connection:
        connection.execute(
            text(
                "update sync.batch set state = 'published' "
                "where stream = :stream and epoch = :epoch and seq = :seq"
            ),
            key,
        )
        if settings.role == "hangar":
            # No aircraft speaks for the fleet: the shared files, kept whole, are the record.
            connection.execute(
                text("delete from sync.dirty where stream = :stream and batch = :seq"), key
            )


def _unclaim(engine: Engine, stream: str, batch: Row[Any]) -> None:
    key = {"stream": stream, "epoch": batch.epoch, "seq": batch.seq}
    with engine.begin() as connection:
        connection.execute(
            text("update sync.dirty set batch = null where stream = :stream and batch = :seq"), key
        )
        connection.execute(
            text("delete from sync.batch where stream = :stream and epoch = :epoch and seq = :seq"),
            key,
        )
