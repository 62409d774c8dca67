"""Divergence: the two ends disagree about what came before, so one of them was restored or copied.

Each end looks at what the other says in heartbeats, because it is the only witness when a whole disk is of
yesterday. Whoever sends the stream begins a new history of it (`sync.epoch`); nothing is applied until then,
and nothing is lost, because what was sent stays where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

__all__ = ["Diverged", "contradicted", "went_back"]

# A box in wrong hands can say anything, and a new history is a snapshot for the whole fleet.
AT_MOST_EACH = timedelta(hours=1)


class Diverged(Exception):
    """What came does not go with what came before; the stream waits for a new history than `epoch8`."""

    def __init__(self, message: str, epoch8: str) -> None:
        super().__init__(message)
        self.epoch8 = epoch8


def contradicted(engine: Engine, stream: str, epoch: UUID) -> str | None:
    """Return in words which aircraft has, or asks for, what this hangar's books do not, or None.

    That is so when the hangar's whole disk went back: its books, and the file beside them.
    """
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "select a.name, a.last_body -> 'wants' ->> :stream as wants, d ->> 'seq' as seq "
                "from sync.epoch e cross join aircraft a "
                "cross join lateral (select a.last_body -> 'down' -> :stream as d) there "
                "left join sync.batch b on (b.stream, b.epoch) = (e.stream, e.epoch) "
                "and b.seq = (d ->> 'seq')::numeric "
                "where e.stream = :stream and e.created_at < now() - cast(:each as interval) "
                "and (a.last_body -> 'wants' ->> :stream = :epoch8 "
                "or d ->> 'epoch' = :epoch and (d ->> 'seq')::numeric > 0 "
                "and b.sha256 is distinct from d ->> 'sha256') limit 1"
            ),
            {
                "stream": stream,
                "epoch": str(epoch),
                "epoch8": epoch.hex[:8],
                "each": AT_MOST_EACH,
            },
        ).one_or_none()
    if found is None:
        return None
    if found.wants:
        return f"{found.name} followed this history before, and another one after it"
    return f"{found.name} has change-set {found.seq} otherwise than these books: they went back"


def went_back(
    there: Mapping[str, Any],
    came: Mapping[str, Any] | None,
    former: Collection[str],
    diverged: bool,
) -> bool:
    """Return whether an aircraft should begin a new history of a stream.

    So it should when it is in one that it left, has sealed less than was applied here, or holds for
    acknowledged what was not: then it is this hangar that was restored, from what was no archive.

    Arguments: `there` is what its heartbeat says of the stream; `came`, how far the present history was
    applied; `former`, the histories before it; `diverged`: something that lies here does not fit.

    >>> went_back({"epoch": "a", "sealed": 3}, {"epoch": "a", "seq": 5}, [], False)
    True
    """
    if there.get("epoch") in former:
        return True
    # Of one that is new here nothing was applied yet.
    head = came if came and came["epoch"] == there.get("epoch") else None
    sealed, acked = there.get("sealed"), there.get("acked")
    seq = head["seq"] if head else 0
    behind = isinstance(sealed, int) and sealed < seq
    forgotten = isinstance(acked, int) and acked > seq
    return behind or forgotten or (head is not None and diverged)
