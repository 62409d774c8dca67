"""Snapshots: all rows of a stream in one file, for whoever would otherwise be sent more than that.

It stands for the change-sets up to the last one that may be sent, and the next one follows that. It may have
rows that changed since: they are still recorded and come again in the next change-set, as they are then, so
nobody is behind or ahead for it. It is sealed once for the whole fleet. A history that begins without rows
being recorded anew, after the hangar's database was restored, begins with one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from math import inf
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from common.clock import utc_now
from common.health import schema_version
from common.settings import Settings
from sync import changeset, epoch, export, files, forgotten, user_lock
from sync.capture import models_of
from sync.seal import alone
from sync.steps import untold

__all__ = ["STEPS", "prune", "seal"]

STEPS = ("written", "renamed", "recorded")
# An aircraft whose database is of last week is still sent what changed, and no more.
KEPT = timedelta(days=7)


def seal(
    engine: Engine,
    settings: Settings,
    stream: str,
    *,
    clock: Callable[[], datetime] = utc_now,
    at: Callable[[str], None] = untold,
) -> None:
    """Seal a snapshot of the stream as it is now, unless there is one of the same change-set and schema.

    It is put where it may be linked first and written down then: what is not written down nobody takes.
    Arguments: `at` is told each step (`STEPS`); tests kill there.
    """
    version = schema_version(engine)
    with alone(engine, stream):
        snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")
        with snapshot as connection, connection.begin():
            last = epoch.head(connection, stream)
            path = files.snapshot_path(settings, stream, last.epoch, last.seq)
            if path.exists() and _recorded(connection, stream, last) == version:
                return
            erased = forgotten.erased(connection)
            models = models_of(settings.role, stream)
            header = changeset.Header(
                stream=stream,
                epoch=str(last.epoch),
                seq=last.seq,
                first_seq=0,
                prev_sha256=changeset.GENESIS,
                schema=version,
                node=settings.node,
                created=clock().isoformat(),
                tables=tuple(export.table(connection, model, whole=True) for model in models),
                whole=True,
                last_sha256=last.sha256,
            )
            written = files.tmp(settings) / f"{stream}-{path.name}"
            sha256, size = export.write(connection, written, header, models)
        at("written")
        files.move(written, path)
        at("renamed")
        with engine.begin() as connection:
            known = _version(connection, stream, version, erased)
            connection.execute(
                text(
                    "insert into sync.snapshot (stream, epoch, seq, sha256, bytes, rows, "
                    "schema_version, created_at) values (:stream, :epoch, :seq, :sha256, :bytes, "
                    ":rows, :version, :now) on conflict (stream, epoch, seq) do update set "
                    "sha256 = excluded.sha256, bytes = excluded.bytes, rows = excluded.rows, "
                    "schema_version = excluded.schema_version, created_at = excluded.created_at"
                ),
                {
                    "stream": stream,
                    "epoch": last.epoch,
                    "seq": last.seq,
                    "sha256": sha256,
                    "bytes": size,
                    "rows": sum(table.upserts for table in header.tables),
                    "version": known,
                    "now": clock(),
                },
            )
        at("recorded")


def _recorded(connection: Connection, stream: str, last: epoch.Noted) -> str | None:
    found: str | None = connection.scalar(
        text(
            "select schema_version from sync.snapshot "
            "where (stream, epoch, seq) = (:stream, :epoch, :seq)"
        ),
        {"stream": stream, "epoch": last.epoch, "seq": last.seq},
    )
    return found


def _version(connection: Connection, stream: str, version: str, erased: int) -> str:
    """Return the schema to be written down, or that it is withdrawn: somebody was erased since it was read.

    Arguments: `erased` is how many were when it was.
    """
    if stream != forgotten.STREAM:
        return version
    # Nobody is being erased now, and who is later withdraws what is written down by then.
    user_lock.alone(connection, shared=True)
    return version if forgotten.erased(connection) == erased else forgotten.WITHDRAWN


def prune(engine: Engine, settings: Settings, stream: str, now: datetime) -> None:
    """Remove shared files that are linked for no aircraft any more: change-sets that are older than `KEPT`,
    and snapshots but for the newest, which may serve another one; that goes, too, if it is withdrawn.

    Who is pulling one has a link of its own.
    """
    with engine.connect() as connection:
        last = epoch.head(connection, stream)
        withdrawn = connection.scalars(
            text(
                "select seq from sync.snapshot where (stream, epoch, schema_version) = "
                "(:stream, :epoch, :withdrawn)"
            ),
            {"stream": stream, "epoch": last.epoch, "withdrawn": forgotten.WITHDRAWN},
        ).all()
    folder = files.sealed_path(settings, stream, last.epoch, 1).parent
    lying = dict(files.snapshots(folder))
    for seq, path in lying.items():
        if seq in withdrawn or seq != max(lying):
            _remove_unlinked(path, inf)
    for _, path in files.change_sets(folder):
        _remove_unlinked(path, now.timestamp() - KEPT.total_seconds())
    with engine.begin() as connection:
        connection.execute(
            text(
                "update sync.batch set state = 'acked', acked_at = :now where state = 'published' "
                "and (stream, epoch) = (:stream, :epoch) and not seq = any(:lying)"
            ),
            {
                "now": now,
                "stream": stream,
                "epoch": last.epoch,
                "lying": [seq for seq, _ in files.change_sets(folder)],
            },
        )


def _remove_unlinked(path: Path, before: float) -> None:
    # Another process, for another aircraft, may be doing the same.
    with suppress(FileNotFoundError):
        found = path.stat()
        if found.st_nlink == 1 and found.st_mtime < before:
            path.unlink()
