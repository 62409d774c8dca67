"""Histories: a stream's numbers mean something only within one epoch, and this says when a new one begins.

A database that was restored or copied has forgotten what it sent, and would give the same numbers to other
rows. It is known by three things, of which each covers what the others cannot see:

- its books say on which host, in which database and on which timeline of PostgreSQL they were begun; those
  are others after a copy to a second box, a dump that was loaded, an archive that was replayed;
- a small file outside of it, `sync/history/<STREAM>.json`, says which change-set was sealed last; books
  that do not have it are older than the file, however they came here;
- the other end has what these books do not (`sync.ack`, `sync.divergence`), which is all that is left when
  the whole disk is of yesterday.

An aircraft begins a new one, too, where what it sealed and was not acknowledged is damaged or gone, or of a
schema that is read no more (`sync.skew`): its rows come anew.

The file is written after the books are committed, and before the change-set is where it could be sent; where
a change-set has to be sealed again, it is set back first. So it is never ahead of the books, unless they
went back; that it is behind, which a crash in between leaves, means nothing.

**What holds at any moment**, aboard: each row that the hangar has not acknowledged is recorded and
unclaimed, or in a change-set of the present history that is in the outbox or can be sealed again, or in a
change-set of a former history that these books have forgotten, which is kept in `sync/former`, with those
before it that lay in the outbox, until it is acknowledged itself. A new history records every row that is
still here, as not yet sent, and forgets what was claimed; the hangar merges by key, so what it has already is
counted once. Of tables that only a newer release knows, before which one went back to this one, what is
recorded stays so, unclaimed. And no two change-sets of one history have one number, so whatever has the
number and another hash shows that they are of two.

At the hangar a new history begins with a snapshot (`sync.snapshot`) instead of rows that are recorded anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, text

from common.migrations import newest
from common.settings import Settings
from sync import changeset, divergence, files
from sync.capture import models_of, record_all
from sync.skew import READ_BACK, behind
from sync.steps import untold

__all__ = ["STEPS", "Here", "Known", "Noted", "begin", "follow", "head", "note", "noted", "reason"]

STEPS = ("begun", "noted", "cleared")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Noted:
    """What the file beside the database says: the history, and its last change-set that was sealed."""

    epoch: UUID
    seq: int
    sha256: str


@dataclass(frozen=True)
class Here:
    """Where this is: the host, the database as PostgreSQL numbers server and database, its timeline."""

    node: str
    database: str
    timeline: str


@dataclass(frozen=True)
class Known:
    """What the books say of a history: where it was begun, if they say so, and what it follows."""

    epoch: UUID
    follows: UUID | None
    node: str | None
    database: str | None
    timeline: str | None


def noted(settings: Settings, stream: str) -> Noted | None:
    """Return what the file says, or None when there is none that can be read."""
    try:
        said = json.loads((settings.sync_dir / "history" / f"{stream}.json").read_bytes())
        return Noted(UUID(said["epoch"]), int(said["seq"]), str(said["sha256"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def note(settings: Settings, stream: str, last: Noted) -> None:
    """Write the file, and wait until it is on the disk."""
    said = {"format": 1, "epoch": str(last.epoch), "seq": last.seq, "sha256": last.sha256}
    path = settings.sync_dir / "history" / f"{stream}.json"
    files.write_durably(path, json.dumps(said).encode() + b"\n")


def reason(known: Known, here: Here, file: Noted | None, holds: bool) -> str | None:
    """Return in words why this is not the database that sealed last, or None when it is.

    Arguments: `holds`: whether the books have the change-set that the file names, with its hash.
    """
    if known.node not in (None, here.node):
        return f"the database is that of {known.node}"
    if known.database not in (None, here.database):
        return (
            f"the database was restored or copied: it was {known.database}, and is {here.database}"
        )
    if known.timeline not in (None, here.timeline):
        return (
            f"the database was restored: its timeline was {known.timeline}, and is {here.timeline}"
        )
    # What a crash left between the books and the file, when this history was begun.
    if file is None or file.epoch == known.follows:
        return None
    if file.epoch != known.epoch:
        return f"the database is in history {known.epoch}, and {file.epoch} was the last one here"
    if not holds:
        return (
            f"the database went back: its books lack change-set {file.seq}, which was sealed here"
        )
    return None


def follow(
    engine: Engine, settings: Settings, stream: str, at: Callable[[str], None] = untold
) -> None:
    """Begin a new history where the database is not the one that sealed last.

    The caller holds `seal.alone`. Arguments: `at` is told each step; tests kill there.
    """
    known, here = _known(engine, stream, settings.node)
    # Before the books are asked: what is acknowledged in between loses its file after they say so.
    lying = dict(files.change_sets(_folder(settings, stream, known.epoch)))
    file = noted(settings, stream)
    holds = file is not None and _holds(engine, stream, file)
    why = reason(known, here, file, holds)
    if why is None and settings.role == "aircraft":
        why = _unsendable(engine, stream, known.epoch, lying)
    if why is None and settings.role == "hangar":
        why = divergence.contradicted(engine, stream, known.epoch)
    if why:
        begin(engine, settings, stream, why, at)
        return
    with engine.begin() as connection:
        connection.execute(
            text(
                "update sync.epoch set node = :node, database = :database, timeline = :timeline "
                "where stream = :stream and node is null"
            ),
            {"stream": stream, **vars(here)},
        )
    if file is None or file.epoch != known.epoch:
        with engine.connect() as connection:
            note(settings, stream, head(connection, stream))
    _clear(engine, settings, stream)


def begin(
    engine: Engine,
    settings: Settings,
    stream: str,
    why: str,
    at: Callable[[str], None] = untold,
) -> None:
    """Begin a new history of a stream that is sent from here; the caller holds `seal.alone`.

    Arguments: `why`, in words, for the log; `at` is told each step; tests kill there.
    """
    aboard = settings.role == "aircraft"
    file, new = noted(settings, stream), uuid4()
    models = models_of(settings.role, stream)
    # At the hangar rows that changed before are in the snapshot, and not in the first change-set.
    base = changeset.GENESIS if aboard else hashlib.sha256(new.bytes).hexdigest()
    with engine.begin() as connection:
        key = {"stream": stream, "epoch": new, "base": base, "file": file and file.epoch}
        # Who takes an acknowledgement holds this before the rest, too (`sync.ack`).
        connection.execute(text("select from sync.epoch where stream = :stream for update"), key)
        connection.execute(
            text("delete from sync.batch where stream = :stream and state = 'sealed'"), key
        )
        connection.execute(
            text(
                "update sync.batch set state = 'left' where stream = :stream and state = 'published'"
            ),
            key,
        )
        connection.execute(
            text("delete from sync.dirty where stream = :stream and tbl = any(:tables)"),
            {**key, "tables": [model.__tablename__ for model in models]},
        )
        # What a newer release recorded, before one went back to this one, is for it to seal.
        connection.execute(
            text("update sync.dirty set batch = null where stream = :stream and batch is not null"),
            key,
        )
        if aboard:
            for model in models:
                record_all(connection, model, settings.node)
        connection.execute(
            text(
                "update sync.epoch set epoch = :epoch, follows = coalesce(:file, epoch), "
                "base = :base, created_at = now(), node = :node, database = :database, "
                "timeline = :timeline where stream = :stream"
            ),
            {**key, **vars(_here(connection, settings.node))},
        )
    at("begun")
    note(settings, stream, Noted(new, 0, base))
    at("noted")
    _clear(engine, settings, stream)
    at("cleared")
    log.warning("%s: a new history begins: %s", stream, why)


def _folder(settings: Settings, stream: str, epoch: UUID) -> Path:
    return files.sealed_path(settings, stream, epoch, 1).parent


def _here(connection: Connection, node: str) -> Here:
    row = connection.execute(
        text(
            "select system_identifier || '/' || (select oid from pg_database "
            "where datname = current_database()) as database, "
            "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline "
            "from pg_control_system()"
        )
    ).one()
    return Here(node, row.database, row.timeline)


def _known(engine: Engine, stream: str, node: str) -> tuple[Known, Here]:
    with engine.connect() as connection:
        row = connection.execute(
            text(
                "select epoch, follows, node, database, timeline from sync.epoch "
                "where stream = :stream"
            ),
            {"stream": stream},
        ).one()
        return Known(*row), _here(connection, node)


def _holds(engine: Engine, stream: str, file: Noted) -> bool:
    with engine.connect() as connection:
        found = connection.scalar(
            text(
                "select exists (select from sync.epoch where (stream, epoch) = (:stream, :epoch) "
                "and :seq = 0 union all select from sync.batch "
                "where (stream, epoch, seq, sha256) = (:stream, :epoch, :seq, :sha256))"
            ),
            {"stream": stream, **vars(file)},
        )
    return bool(found)


def _unsendable(engine: Engine, stream: str, epoch: UUID, lying: Mapping[int, Path]) -> str | None:
    with engine.connect() as connection:
        sent = connection.execute(
            text(
                "select seq, sha256 from sync.batch "
                "where (stream, epoch, state) = (:stream, :epoch, 'published') order by seq"
            ),
            {"stream": stream, "epoch": epoch},
        ).all()
    for row in sent:
        if row.seq not in lying:
            return f"change-set {row.seq} was not acknowledged, and is not in the outbox any more"
        # One that is gone by now was acknowledged since.
        if files.sha256_of(lying[row.seq]) not in (None, row.sha256):
            return f"change-set {row.seq} was not acknowledged, and is damaged in the outbox"
    # What comes after the first was sealed by the same release, or by a later one.
    return _outdated(sent[0].seq, lying[sent[0].seq]) if sent else None


def _outdated(seq: int, path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            header = next(changeset.read(file, path.name))
    except FileNotFoundError:
        return None  # it was acknowledged since
    if isinstance(header, changeset.Header) and behind(header.schema, newest()) > READ_BACK:
        return (
            f"change-set {seq} was not acknowledged, and is of schema {header.schema}, which is read "
            "no more"
        )
    return None


def head(connection: Connection, stream: str) -> Noted:
    """Return the last change-set of the present history that may be sent; number 0 before there is one."""
    row = connection.execute(
        text(
            "select e.epoch, coalesce(b.seq, 0) as seq, coalesce(b.sha256, e.base) as sha256 "
            "from sync.epoch e left join sync.batch b on (b.stream, b.epoch) = (e.stream, e.epoch) "
            "and b.state <> 'sealed' where e.stream = :stream order by b.seq desc nulls last limit 1"
        ),
        {"stream": stream},
    ).one()
    return Noted(row.epoch, row.seq, row.sha256)


def _clear(engine: Engine, settings: Settings, stream: str) -> None:
    """Take former histories out of the outbox; what these books have forgotten is kept to be sent.

    What they know and have recorded anew goes, but where something forgotten comes after it, which the
    hangar applies in no other order.
    """
    known, _ = _known(engine, stream, settings.node)
    present = _folder(settings, stream, known.epoch)
    for folder in files.epoch_folders(present.parent):
        if folder == present:
            continue
        kept = files.former(settings) / stream / folder.name
        # The forgotten ones are the last ones, and are moved last: a crash leaves them here, or all there.
        for path in _forgotten(engine, stream, folder) if settings.role == "aircraft" else ():
            files.move(path, kept / path.name)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _forgotten(engine: Engine, stream: str, folder: Path) -> list[Path]:
    """Return what is whole in a folder of the outbox, if these books do not know all of it."""
    with engine.connect() as connection:
        ours = set(
            connection.scalars(
                text("select sha256 from sync.batch where stream = :stream"), {"stream": stream}
            )
        )
    whole = [path for _, path in files.change_sets(folder) if _is_whole(path)]
    return whole if any(files.sha256_of(path) not in ours for path in whole) else []


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            changeset.check(file, path.name)
    except changeset.BadChangeSet:
        return False
    return True
