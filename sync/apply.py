"""Applying: a change-set's rows, its ledger row and the cursor are one transaction.

So a crash at any point leaves all of it or nothing, and each change-set counts exactly once: one
that was applied is skipped, one that comes too early waits for the missing one, and one of another
history is refused in words. Rows are loaded by COPY into a temporary table, then merged by primary
key where they differ; deletes come last. Rows that the database refuses are kept aside in the same
transaction (`sync.quarantine`), and what the schema here has no place for waits (`sync.skew`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import UUID

import psycopg2
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from common.health import schema_version
from common.schema import travelling
from common.settings import Settings
from sync import backfill, chain, changeset, files, held, index, load, retry, skew
from sync.capture import RECEIVES, spec
from sync.divergence import Diverged
from sync.load import Fold, Unsettled
from sync.outcome import Outcome
from sync.quarantine import Keeper, said
from sync.skew import Parked, Refused
from sync.steps import untold
from sync.user_lock import before_rows_of

__all__ = ["STEPS", "Fold", "Outcome", "apply_all", "apply_stream", "received_streams"]

STEPS = ("checked", "locked", "loaded", "ledger", "committed")

_GOES_ON: tuple[held.State | None, str] = (None, "")
_STANDS: dict[type[Exception], held.State] = {
    Parked: "waiting_schema",
    Refused: "stopped",
    Diverged: "diverged",
}


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
    signed: bool = False,
    folds: Mapping[str, Fold] | None = None,
    at: Callable[[str], None] = untold,
) -> Outcome:
    """Apply everything that waits in the peer's inbox; a stream that stops does not stop another.

    Arguments: with `signed` only what the peer's signed index names. What came may be what rows of that peer
    in quarantine lack, so they are tried again after it.
    """
    outcome = Outcome()
    try:
        vouched = index.vouched(settings, peer) if signed else None
    except index.BadIndex as error:
        outcome.problems.append(str(error))
        return outcome
    for stream in received_streams(settings.role):
        outcome += apply_stream(engine, settings, peer, stream, vouched=vouched, folds=folds, at=at)
    if outcome.batches:
        try:
            retry.retry(engine, settings.role, folds or {}, peer=peer)
        except (OperationalError, Unsettled) as error:
            # What came is applied all the same.
            why = said(error) if isinstance(error, OperationalError) else error
            outcome.problems.append(
                f"{peer}: its rows in quarantine could not be tried again now: {why}. The next "
                "change-set has them tried"
            )
    return outcome


def apply_stream(
    engine: Engine,
    settings: Settings,
    peer: str,
    stream: str,
    *,
    vouched: index.Vouched | None = None,
    folds: Mapping[str, Fold] | None = None,
    at: Callable[[str], None] = untold,
) -> Outcome:
    """Apply the stream's waiting change-sets in order, each exactly once.

    A history that stands still does not stop another one of an aircraft.

    Arguments: `vouched` are those that may be applied, None: all; `folds` maps a table
    to a function that is called in the same transaction with the name of the temporary table of rows
    that came; `at` is told each step (`checked`, `locked`, `loaded`, `ledger`, `committed`); tests kill
    there.

    >>> apply_stream(engine, settings, "EC-TAA", "use")  # doctest: +SKIP
    Outcome(batches=1, rows=180, problems=[])
    """
    outcome = Outcome()
    present = left = _GOES_ON
    try:
        for folder, one in chain.chains(engine, settings, peer, stream):
            stands, counts = _GOES_ON, True
            try:
                went = _go_on(
                    engine, settings, folder, one, peer, stream, vouched, folds or {}, at, outcome
                )
                # One that only lies here, as its sender left it, takes the place of no other.
                counts = went or one.epoch is not None
            except (Parked, Refused, Diverged) as error:
                stands = _STANDS[type(error)], str(error)
            if stands[0] == "waiting_schema":
                outcome.waiting.append(f"{peer}/{stream}/{stands[1]}")
            if one.present and counts:
                # Where another one begins, the one before it is left.
                present, stands = stands, present
            # What does not fit into a history that was left came in the one after it, too.
            left = stands if stands[0] == "stopped" else left
    except (Refused, Diverged) as error:
        present = _STANDS[type(error)], str(error)
    for state, why in (present, left):
        if state in ("stopped", "diverged"):
            outcome.problems.append(f"{peer}/{stream}: {why}")
    held.note(engine, peer, stream, *(present if present[0] else left))
    return outcome


def _go_on(
    engine: Engine,
    settings: Settings,
    folder: Path,
    so_far: chain.Chain,
    peer: str,
    stream: str,
    vouched: index.Vouched | None,
    folds: Mapping[str, Fold],
    at: Callable[[str], None],
    outcome: Outcome,
) -> bool:
    """Apply what waits of one history, in order, and add what came of it to `outcome`.

    Returns whether any of it is applied by now.
    """
    chain.unchanged(engine, peer, stream, so_far, folder)
    last, went = so_far.seq, False
    # At the hangar there is none to look for: rows of aircraft are only added.
    whole = list(files.snapshots(folder))[-1:] if settings.role == "aircraft" else []
    deltas = list(files.change_sets(folder))
    for number, (seq, path) in enumerate([*whole, *deltas]):
        is_whole = number < len(whole)
        if not is_whole and seq <= last:
            continue
        named = vouched.get((stream, folder.name, path.name)) if vouched is not None else None
        if vouched is not None and (why := _unvouched(named, path)):
            # What lies there of a history that was left and is named no more came in the next one, too.
            if not path.exists() or not _is_left(vouched, stream, folder.name, so_far):
                outcome.problems.append(f"{peer}/{stream}/{path.name}: {why}")
            continue
        if not is_whole and seq > last + 1:
            outcome.problems.append(
                f"{peer}/{stream}: waits for change-set {last + 1}; {seq} is here already. "
                "The next synchronisation brings what is missing"
            )
            return went
        try:
            done = _apply_file(
                engine, settings, path, named, peer, stream, seq, is_whole, folds, at
            )
        except changeset.BadChangeSet as error:
            # Removed, or the other end would believe that it has arrived whole.
            path.unlink(missing_ok=True)
            outcome.problems.append(
                f"{peer}/{stream}: {error}. It was removed; the next synchronisation sends it again"
            )
            return went
        except (Parked, Refused) as error:
            raise type(error)(f"{path.name}: {error}") from error
        if done is not None:
            outcome += done
        last, went = max(last, seq), True
    return went


def _is_left(vouched: index.Vouched, stream: str, epoch8: str, so_far: chain.Chain) -> bool:
    """Return whether a history was left: here, or, where it never began here, by its sender."""
    named = {of_epoch for of_stream, of_epoch, _ in vouched if of_stream == stream}
    return not so_far.present or (so_far.epoch is None and bool(named) and epoch8 not in named)


def _unvouched(named: str | None, path: Path) -> str:
    """Return why a file may not be applied; '' when its hash is the one that the peer's index names."""
    found = files.sha256_of(path)
    if named is None:
        # It came before its index did, or outlived the one that named it.
        return "it is not in the signed index of its sender, and waits for one that names it"
    if named != found:
        # Its size and time may be those of the right one, which then would not be sent.
        path.unlink(missing_ok=True)
        return (
            f"expected {named}, as the signed index of its sender says, found {found}. It was removed; the "
            "next synchronisation brings it"
        )
    return ""


def _apply_file(
    engine: Engine,
    settings: Settings,
    path: Path,
    named: str | None,
    peer: str,
    stream: str,
    seq: int,
    whole: bool,
    folds: Mapping[str, Fold],
    at: Callable[[str], None],
) -> Outcome | None:
    """Apply one file and return what came of it; None when another process has just applied it.

    Arguments: `named` is the hash by which the peer's signed index names it, None where none is asked for.
    """
    began = time.monotonic()
    # One open file for both passes: rsync replaces by rename, so what was checked is what is read.
    with path.open("rb") as file:
        limits = changeset.SNAPSHOT_LIMITS if whole else changeset.Limits()
        header, sha256 = changeset.check(file, path.name, limits)
        if named is not None:
            # Since it was looked for in the index another may have come into its place.
            _expect(path.name, "sha256", named, sha256)
        _expect(path.name, "node", peer, header.node)
        _expect(path.name, "stream", stream, header.stream)
        _expect(path.name, "sequence", seq, header.seq)
        _expect(path.name, "whole", whole, header.whole)
        epoch = _epoch(path, header)
        try:
            with engine.connect() as connection:
                version = schema_version(engine)
                shares = skew.judge(connection, header, settings.role, stream, version)
            at("checked")
            with engine.begin() as connection:
                place = chain.lock(connection, settings.role, peer, stream, header, epoch)
                if place is None:
                    return None
                at("locked")
                parts = changeset.read(file, path.name, limits)
                kept = _load(connection, peer, header, parts, shares, folds, place.whole)
                at("loaded")
                milliseconds = int((time.monotonic() - began) * 1000)
                rows = chain.record(connection, peer, header, epoch, sha256, milliseconds, place)
                at("ledger")
        except Unsettled as error:
            raise Refused(
                f"{error}. Nothing of this change-set was applied, and the stream stops here until that is "
                "mended; the next run tries again"
            ) from error
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
    peer: str,
    header: changeset.Header,
    parts: Iterator[changeset.Header | changeset.Block],
    shares: Mapping[str, skew.Share],
    folds: Mapping[str, Fold],
    whole: bool,
) -> int:
    """Write the rows and what must be remembered of them; returns how many went into quarantine."""
    connection.execute(text("set local sync.applying = 'on'"))
    connection.execute(text("set constraints all deferred"))
    if any(table.table in folds for table in header.tables):
        before_rows_of(connection, header.stream)
    keeper = Keeper.of(connection, peer, header)
    load.load(
        connection,
        header,
        parts,
        shares,
        folds,
        keeper,
        refills=backfill.refills(connection, peer),
        whole=whole,
    )
    if whole:
        backfill.settle(connection, peer, header)
    backfill.note(connection, peer, shares.values())
    return keeper.kept + keeper.waiting


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
