"""Acknowledgement: the sender believes it only where its own ledger says the same.

An acknowledged change-set leaves the outbox at once and its recorded keys with it; the sender keeps
no replay window, because nothing is acknowledged that the hangar could still lose (`sync.state`). Where the
ledger says otherwise this disk is of an earlier time, and a new history begins (`sync.epoch`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from common.clock import utc_now
from common.settings import Settings
from sync import epoch as epoch_of
from sync import files
from sync.seal import alone, own_streams

__all__ = ["accept", "heal"]

log = logging.getLogger(__name__)


def accept(
    engine: Engine,
    settings: Settings,
    acks: Mapping[str, Any],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> list[str]:
    """Take the receiver's acknowledgements and let go of what it has; returns what is wrong.

    Arguments: `acks` is `{stream: {"epoch", "seq", "sha256"}}` as the other end sent it; anything in
    it may be wrong.

    >>> accept(engine, settings, {"use": {"epoch": "…", "seq": 4, "sha256": "…"}})  # doctest: +SKIP
    []
    """
    problems = []
    for stream, ack in acks.items():
        try:
            epoch, seq, sha256 = UUID(ack["epoch"]), int(ack["seq"]), str(ack["sha256"])
        except (KeyError, TypeError, ValueError, AttributeError):
            problems.append(f"{stream}: expected epoch, seq and sha256, found {str(ack)[:120]!r}")
            continue
        problem = _accept_one(engine, settings, stream, epoch, seq, sha256, clock())
        if problem:
            problems.append(f"{stream}: {problem}")
            _begin_anew(engine, settings, stream, epoch, problem)
    for problem in problems:
        log.error("acknowledgement refused: %s", problem)
    return problems


def _accept_one(
    engine: Engine,
    settings: Settings,
    stream: str,
    epoch: UUID,
    seq: int,
    sha256: str,
    now: datetime,
) -> str | None:
    key = {"stream": stream, "epoch": epoch, "seq": seq, "now": now}
    with engine.begin() as connection:
        # No new history begins in between: what is claimed after that has the same numbers.
        present = connection.scalar(
            text("select epoch from sync.epoch where stream = :stream for share"), key
        )
        if present != epoch:
            # Of a history that was left, or that these books know nothing of: the hangar goes over to the
            # present one by itself, or asks for another.
            return None
        ours = connection.execute(
            text(
                "select sha256, state from sync.batch "
                "where stream = :stream and epoch = :epoch and seq = :seq"
            ),
            key,
        ).one_or_none()
        if ours is None or ours.sha256 != sha256:
            found = "no such change-set" if ours is None else ours.sha256
            return (
                f"the other end acknowledges {seq} of epoch {files.epoch8(epoch)} as {sha256[:64]}, "
                f"found {found} here: this disk is of an earlier time. Nothing was removed"
            )
        connection.execute(
            text(
                "update sync.batch set state = 'acked', acked_at = :now where stream = :stream "
                "and epoch = :epoch and seq <= :seq and state = 'published'"
            ),
            key,
        )
        connection.execute(
            text("delete from sync.dirty where stream = :stream and batch <= :seq"), key
        )
    # After the commit: a file that outlives it is removed by the next acknowledgement.
    for number, path in files.change_sets(files.sealed_path(settings, stream, epoch, 1).parent):
        if number <= seq:
            path.unlink(missing_ok=True)
    return None


def heal(
    engine: Engine,
    settings: Settings,
    said: Mapping[str, Any],
    wants: Iterable[str],
    former: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> None:
    """Do what the hangar asks of an aircraft whose database, or whole disk, is of an earlier time.

    Arguments: `said` is the heartbeat's `up` that it answers; `wants` are streams to be sent anew; `former`
    is how far what is kept of former histories was applied there: `{stream: {epoch8: {"seq", "sha256"}}}`.

    >>> heal(engine, settings, said, ["use"], {})  # doctest: +SKIP
    """
    for stream in wants:
        if stream in said and stream in own_streams(settings.role):
            why = "the hangar has more of the last one than this disk, or otherwise"
            _begin_anew(engine, settings, stream, UUID(said[stream]["epoch"]), why)
    for stream, histories in former.items():
        for folder in files.epoch_folders(files.former(settings) / stream):
            if folder.name in histories:
                _forget(folder, histories[folder.name])


def _begin_anew(engine: Engine, settings: Settings, stream: str, left: UUID, why: str) -> None:
    """Begin a new history unless the one that is to be left was left in the meantime."""
    with alone(engine, stream):
        with engine.connect() as connection:
            present = epoch_of.head(connection, stream).epoch
        if present == left:
            epoch_of.begin(engine, settings, stream, why)


def _forget(folder: Path, ack: Mapping[str, Any]) -> None:
    """Remove what was applied, when its last change-set there is the one here."""
    kept = dict(files.change_sets(folder))
    last = kept.get(ack["seq"])
    if last is None or files.sha256_of(last) != ack["sha256"]:
        return
    # The one that proves it goes last.
    for seq in sorted(kept):
        if seq <= ack["seq"]:
            kept[seq].unlink(missing_ok=True)
    if all(seq <= ack["seq"] for seq in kept):
        folder.rmdir()
