"""Acknowledgement: the sender believes it only where its own ledger says the same.

An acknowledged change-set leaves the outbox at once and its recorded keys with it; the sender keeps
no replay window, because nothing is acknowledged that the hangar could still lose (`sync.state`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from common.clock import utc_now
from common.settings import Settings
from sync import files

__all__ = ["accept"]

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
            problems.append(problem)
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
                f"{stream}: the other end acknowledges {seq} of epoch {files.epoch8(epoch)} as "
                f"{sha256[:64]}, found {found} here: the two ends disagree (was a database "
                "restored?). Nothing was removed; a new epoch and a snapshot are needed"
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
