"""Applying: a change-set's rows, its ledger row and the cursor are one transaction.

So a crash at any point leaves all of it or nothing, and each change-set counts exactly once: one
that was applied is skipped, one that comes too early waits for the missing one, and one of another
history is refused in words. Rows are loaded by COPY into a temporary table, then merged by primary
key where they differ; deletes come last. Rows that the database refuses are kept aside in the same
transaction (`sync.quarantine`), and what the schema here has no place for waits (`sync.skew`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from uuid import UUID

import psycopg2
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from common.health import schema_version
from common.schema import travelling
from common.settings import Settings
from sync import backfill, changeset, files, held, load, retry, skew
from sync.capture import RECEIVES, spec
from sync.load import Fold
from sync.outcome import Outcome
from sync.quarantine import Keeper, said
from sync.skew import Parked, Refused

__all__ = ["STEPS", "Fold", "Outcome", "apply_all", "apply_stream", "received_streams"]

STEPS = ("checked", "locked", "loaded", "ledger", "committed")


@dataclass(frozen=True)
class _Cursor:
    epoch: UUID | None
    seq: int
    sha256: str


def _nothing(step: str) -> None:
    """No one watches the steps."""


def received_streams(role: str) -> list[str]:
    """Return the streams that a host of this role receives.

    >>> received_streams("aircraft")
    ['cat', 'usr']
    """
    return sorted({spec(model).stream for model in travelling(RECEIVES[role])})


def apply_all(
    engine: Engine,
    settings: Settings,
    peer: str,
    *,
    folds: Mapping[str, Fold] | None = None,
    at: Callable[[str], None] = _nothing,
) -> Outcome:
    """Apply everything that waits in the peer's inbox; a stream that stops does not stop another.

    What came may be what rows of that peer in quarantine lack, so they are tried again after it.
    """
    outcome = Outcome()
    for stream in received_streams(settings.role):
        outcome += apply_stream(engine, settings, peer, stream, folds=folds, at=at)
    if outcome.batches:
        try:
            retry.retry(engine, settings.role, folds or {}, peer=peer)
        except OperationalError as error:
            # What came is applied all the same.
            outcome.problems.append(
                f"{peer}: its rows in quarantine could not be tried again now: {said(error)}. The next "
                "change-set has them tried"
            )
    return outcome


def apply_stream(
    engine: Engine,
    settings: Settings,
    peer: str,
    stream: str,
    *,
    folds: Mapping[str, Fold] | None = None,
    at: Callable[[str], None] = _nothing,
) -> Outcome:
    """Apply the stream's waiting change-sets in order, each exactly once.

    Arguments: `folds` maps a table to a function that is called in the same transaction with the
    name of the temporary table of rows that came; `at` is told each step (`checked`, `locked`,
    `loaded`, `ledger`, `committed`); tests kill there.

    >>> apply_stream(engine, settings, "EC-TAA", "use")  # doctest: +SKIP
    Outcome(batches=1, rows=180, problems=[])
    """
    outcome = Outcome()
    cursor = _cursor(engine, peer, stream)
    try:
        folder = _folder(
            files.inbox(settings, peer) / stream, cursor, _begun(engine, settings, peer, stream)
        )
    except Refused as refusal:
        outcome.problems.append(f"{peer}/{stream}: {refusal}")
        held.note(engine, peer, stream, "stopped", str(refusal))
        return outcome
    if folder is None:
        return outcome
    if cursor.epoch is not None and folder.name != files.epoch8(cursor.epoch):
        cursor = _Cursor(None, 0, "")
    for seq, path in files.change_sets(folder):
        if seq <= cursor.seq:
            continue
        if seq > cursor.seq + 1:
            outcome.problems.append(
                f"{peer}/{stream}: waits for change-set {cursor.seq + 1}; {seq} is here already. "
                "The next synchronisation brings what is missing"
            )
            break
        try:
            done = _apply_file(engine, settings, path, peer, stream, seq, folds or {}, at)
        except changeset.BadChangeSet as error:
            # Removed, or the other end would believe that it has arrived whole.
            path.unlink(missing_ok=True)
            outcome.problems.append(
                f"{peer}/{stream}: {error}. It was removed; the next synchronisation sends it again"
            )
            break
        except Parked as parked:
            outcome.waiting.append(f"{peer}/{stream}/{path.name}: {parked}")
            held.note(engine, peer, stream, "waiting_schema", str(parked))
            return outcome
        except Refused as refusal:
            outcome.problems.append(f"{peer}/{stream}/{path.name}: {refusal}")
            held.note(engine, peer, stream, "stopped", str(refusal))
            return outcome
        if done is not None:
            outcome += done
        cursor = _cursor(engine, peer, stream)
    held.note(engine, peer, stream, None)
    return outcome


def _cursor(engine: Engine, peer: str, stream: str) -> _Cursor:
    with engine.connect() as connection:
        row = connection.execute(
            text("select epoch, seq, sha256 from sync.cursor where peer = :peer and stream = :s"),
            {"peer": peer, "s": stream},
        ).one_or_none()
    return _Cursor(None, 0, "") if row is None else _Cursor(row.epoch, row.seq, row.sha256)


def _begun(engine: Engine, settings: Settings, peer: str, stream: str) -> set[str] | None:
    """Return the epochs that were followed so far, where a new one may begin; None where it may not.

    The hangar is its fleet's only source, so an aircraft follows it into whatever history it is in.
    """
    if settings.role == "hangar":
        return None
    with engine.connect() as connection:
        epochs = connection.scalars(
            text("select distinct epoch from sync.applied where peer = :peer and stream = :stream"),
            {"peer": peer, "stream": stream},
        )
        return {files.epoch8(epoch) for epoch in epochs}


def _folder(base: Path, cursor: _Cursor, begun: set[str] | None) -> Path | None:
    """Return the folder of the epoch to follow, None when nothing came yet."""
    found = [path.name for path in files.epoch_folders(base) if any(files.change_sets(path))]
    if cursor.epoch is not None:
        expected = files.epoch8(cursor.epoch)
        others = [name for name in found if name != expected and name not in (begun or ())]
        if len(others) == 1 and begun is not None:
            return base / others[0]
        if others:
            raise Refused(
                f"expected epoch {expected}, found {', '.join(others)}: the other end began a new "
                "history (its database was restored or made anew). It needs a snapshot"
            )
        return base / expected if expected in found else None
    if len(found) > 1:
        raise Refused(
            f"expected one epoch, found {', '.join(found)}: remove the folders of the older ones"
        )
    return base / found[0] if found else None


def _apply_file(
    engine: Engine,
    settings: Settings,
    path: Path,
    peer: str,
    stream: str,
    seq: int,
    folds: Mapping[str, Fold],
    at: Callable[[str], None],
) -> Outcome | None:
    """Apply one file and return what came of it; None when another process has just applied it."""
    began = time.monotonic()
    # One open file for both passes: rsync replaces by rename, so what was checked is what is read.
    with path.open("rb") as file:
        header, sha256 = changeset.check(file, path.name)
        _expect(path.name, "node", peer, header.node)
        _expect(path.name, "stream", stream, header.stream)
        _expect(path.name, "sequence", seq, header.seq)
        epoch = _epoch(path, header)
        try:
            with engine.connect() as connection:
                version = schema_version(engine)
                shares = skew.judge(connection, header, settings.role, stream, version)
            at("checked")
            with engine.begin() as connection:
                anew = _lock(connection, settings.role, peer, stream, header, epoch)
                if anew is None:
                    return None
                at("locked")
                kept = _load(connection, settings, peer, header, file, path, shares, folds, anew)
                at("loaded")
                rows = sum(table.upserts + table.deletes for table in header.tables)
                milliseconds = int((time.monotonic() - began) * 1000)
                _record(connection, peer, stream, epoch, seq, sha256, rows, milliseconds)
                at("ledger")
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            if isinstance(error.orig, psycopg2.OperationalError):
                # A full disk, a lock that was not had in time: nothing is wrong with the rows.
                raise Refused(
                    f"the database could not take it now: {said(error)}. Nothing of this change-set was "
                    "applied; the next run tries again"
                ) from error
            raise Refused(
                f"the database refused it: {said(error)}. Nothing of this change-set was applied, and "
                "the stream stops here until that is mended; the next run tries again"
            ) from error
    at("committed")
    return Outcome(batches=1, rows=rows, quarantined=kept)


def _load(
    connection: Connection,
    settings: Settings,
    peer: str,
    header: changeset.Header,
    file: BufferedReader,
    path: Path,
    shares: Mapping[str, skew.Share],
    folds: Mapping[str, Fold],
    whole: bool,
) -> int:
    """Write the rows and what must be remembered of them; returns how many went into quarantine."""
    connection.execute(text("set local sync.applying = 'on'"))
    connection.execute(text("set constraints all deferred"))
    keeper = Keeper.of(connection, peer, header)
    load.load(
        connection,
        header,
        changeset.read(file, path.name),
        shares,
        folds,
        keeper,
        refills=backfill.refills(connection, peer),
        whole=whole,
    )
    if whole:
        backfill.settle(connection, peer, header)
    backfill.note(connection, peer, shares.values())
    return keeper.kept


def _expect(name: str, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise changeset.BadChangeSet(name, what, expected, found)


def _epoch(path: Path, header: changeset.Header) -> UUID:
    try:
        epoch = UUID(header.epoch)
    except ValueError:
        raise changeset.BadChangeSet(path.name, "epoch", "a UUID", header.epoch) from None
    _expect(path.name, "epoch", path.parent.name, files.epoch8(epoch))
    return epoch


def _lock(
    connection: Connection,
    role: str,
    peer: str,
    stream: str,
    header: changeset.Header,
    epoch: UUID,
) -> bool | None:
    """Lock the cursor for the next change-set; None when this one was applied.

    True for the first of a new history, which holds all rows that there are in it.
    """
    key = {"peer": peer, "stream": stream}
    connection.execute(
        text(
            "insert into sync.cursor (peer, stream) values (:peer, :stream) on conflict do nothing"
        ),
        key,
    )
    cursor = connection.execute(
        text(
            "select epoch, seq, sha256 from sync.cursor "
            "where peer = :peer and stream = :stream for update"
        ),
        key,
    ).one()
    anew = cursor.epoch is not None and cursor.epoch != epoch
    if anew and (role == "hangar" or header.seq != 1):
        raise Refused(f"expected epoch {cursor.epoch}, found {epoch}: it needs a snapshot")
    seq, prev = (0, "") if anew else (cursor.seq, cursor.sha256)
    if header.seq <= seq:
        return None
    if header.first_seq > seq + 1:
        raise Refused(f"waits for change-set {seq + 1}")
    prev = prev or changeset.GENESIS
    if header.prev_sha256 != prev:
        raise Refused(
            f"expected a successor of {prev}, found one of {header.prev_sha256}: the two ends "
            "disagree about what came before. It needs a new epoch and a snapshot"
        )
    return anew


def _record(
    connection: Connection,
    peer: str,
    stream: str,
    epoch: UUID,
    seq: int,
    sha256: str,
    rows: int,
    milliseconds: int,
) -> None:
    values = {
        "peer": peer,
        "stream": stream,
        "epoch": epoch,
        "seq": seq,
        "sha256": sha256,
        "rows": rows,
        "ms": milliseconds,
    }
    connection.execute(
        text(
            "insert into sync.applied (peer, stream, epoch, seq, sha256, rows, ms) "
            "values (:peer, :stream, :epoch, :seq, :sha256, :rows, :ms)"
        ),
        values,
    )
    connection.execute(
        text(
            "update sync.cursor set epoch = :epoch, seq = :seq, sha256 = :sha256, "
            "updated_at = now() where peer = :peer and stream = :stream"
        ),
        values,
    )
