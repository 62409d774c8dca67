"""How far the two ends are apart: rows, bytes and since when, for people and their alarms.

Nothing here decides anything; what is due is decided by `sync.state`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from sync.capture import known

__all__ = ["Lacking", "Place", "lacking", "waiting"]

Place = tuple[str, int]
"""A stream that is sent from here, and the number of the last change-set that the other end has; -1 where it
has not the snapshot either that the history begins with."""


@dataclass(frozen=True)
class Lacking:
    """What the other end has not got of a stream, and when the oldest of it was sealed."""

    change_sets: int = 0
    rows: int = 0
    bytes: int = 0
    oldest_at: datetime | None = None


_WAITING = text("""
select e.stream, sealed.rows, sealed.bytes, lately.row_bytes, oldest.at as oldest_at
from sync.epoch e
cross join lateral (
    select coalesce(sum(b.rows), 0)::bigint as rows, coalesce(sum(b.bytes), 0)::bigint as bytes
    from sync.batch b
    where b.stream = e.stream and b.epoch = e.epoch and b.state <> 'acked'
) sealed
cross join lateral (
    select round(sum(l.bytes) / nullif(sum(l.rows), 0), 1) as row_bytes from (
        select b.bytes, b.rows from sync.batch b
        where b.stream = e.stream and b.epoch = e.epoch order by b.seq desc limit 5) l
) lately
cross join lateral (
    select min(d.at) as at from sync.dirty d
    where d.stream = e.stream and (d.batch is not null or (d.stream, d.tbl) in
        (select * from unnest(cast(:streams as text[]), cast(:tables as text[]))))
) oldest
order by e.stream
""")


def waiting(connection: Connection, role: str) -> dict[str, dict[str, Any]]:
    """Return what of each stream was sealed here and is not acknowledged, and since when it waits.

    Arguments: `role` is this host's. `oldest_at` counts rows that this release has still to seal, too; it
    is by this host's clock, None when nothing waits. `row_bytes` is what a row took lately, None before
    the first change-set: what is not sealed has no size yet.

    >>> waiting(connection, "aircraft")  # doctest: +SKIP
    {'use': {'rows': 180, 'bytes': 3120, 'row_bytes': 17.3, 'oldest_at': '2026-11-23T01:00:00+00:00'}}
    """
    found = {}
    for row in connection.execute(_WAITING, known(role)):
        oldest = row.oldest_at and row.oldest_at.isoformat(timespec="seconds")
        found[row.stream] = {
            "rows": row.rows,
            "bytes": row.bytes,
            "row_bytes": None if row.row_bytes is None else float(row.row_bytes),
            "oldest_at": oldest,
        }
    return found


_LACKING = text("""
select p.stream, p.seq, count(*) as change_sets, sum(b.rows)::bigint as rows,
       sum(b.bytes)::bigint as bytes, min(b.created_at) as oldest_at
from unnest(cast(:streams as text[]), cast(:seqs as bigint[])) p (stream, seq)
join sync.epoch e on e.stream = p.stream
cross join lateral (
    select rows, bytes, created_at from sync.batch
    where stream = e.stream and epoch = e.epoch and seq > p.seq and state <> 'sealed'
    union all
    select rows, bytes, created_at from sync.snapshot
    where stream = e.stream and epoch = e.epoch and seq = 0 and p.seq < 0
) b
group by p.stream, p.seq
""")


def lacking(connection: Connection, places: Collection[Place]) -> dict[Place, Lacking]:
    """Return what is not at each of these places yet; one statement, whatever their number.

    A place that has all is not in the answer. Most of a fleet stands at a few places.

    >>> lacking(connection, {("cat", 5)})  # doctest: +SKIP
    {('cat', 5): Lacking(change_sets=2, rows=30, bytes=8120, oldest_at=datetime(…))}
    """
    asked = sorted(set(places))
    rows = connection.execute(
        _LACKING,
        {"streams": [stream for stream, _ in asked], "seqs": [seq for _, seq in asked]},
    )
    return {
        (row.stream, row.seq): Lacking(row.change_sets, row.rows, row.bytes, row.oldest_at)
        for row in rows
    }
