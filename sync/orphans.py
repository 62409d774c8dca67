"""Rows whose parent is in quarantine: put aside with it in one statement, and no reason to stop the stream.

A newspaper has an asset for each page. Refused one by one they would be too many to be rows' faults, and each
would be tried again with every change-set, though one row is to blame.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from common.schema import Base, travelling
from sync import changeset
from sync.capture import spec

__all__ = ["WAITS", "set_aside", "still"]

# In the place of an SQLSTATE: the database was not asked.
WAITS = ""
_LACKS = (
    "exists (select from sync.quarantine p where p.peer = :peer and p.stream = :stream "
    "and p.state = 'open' and p.op = 'U' and p.tbl = '{parent}' and p.key = {key}) "
    "and not exists (select from public.{parent} h where h.id::text = {key})"
)


def set_aside(
    connection: Connection, peer: str, header: changeset.Header, model: type[Base], staged: str
) -> int:
    """Move rows of a staging table whose parent is in quarantine, and not here, there; returns how many.

    >>> set_aside(connection, "hangar", header, Asset, "staged_asset")  # doctest: +SKIP
    12
    """
    moved = 0
    for column, parent in _parents(model):
        lacks = _LACKS.format(parent=parent, key=f's."{column}"')
        done = connection.execute(
            text(
                f"with orphan as (delete from {staged} s where {lacks} returning s.*) "  # noqa: S608
                "insert into sync.quarantine (peer, stream, epoch, seq, tbl, key, op, row, sqlstate, error) "
                "select :peer, :stream, :epoch, :seq, :table, coalesce(o.id, ''), 'U', to_jsonb(o), "
                f":waits, 'waits for the {parent} ' || o.\"{column}\" || ', which is in quarantine' "
                "from orphan o"
            ),
            {
                "peer": peer,
                "stream": header.stream,
                "epoch": header.epoch,
                "seq": header.seq,
                "table": model.__tablename__,
                "waits": WAITS,
            },
        )
        moved += done.rowcount
    return moved


def still(connection: Connection, model: type[Base], ids: list[int]) -> set[int]:
    """Return which rows of the quarantine still wait for a parent that is there, too."""
    found: set[int] = set()
    for column, parent in _parents(model):
        lacks = _LACKS.format(parent=parent, key=f"q.row ->> '{column}'")
        query = f"select q.id from sync.quarantine q where q.id = any(:ids) and {lacks}"  # noqa: S608
        query = query.replace(":peer", "q.peer").replace(":stream", "q.stream")
        found |= set(connection.scalars(text(query), {"ids": ids}))
    return found


def _parents(model: type[Base]) -> list[tuple[str, str]]:
    """Return the columns of a model that name a row of the same stream, and of which table."""
    sync = spec(model)
    kin: dict[Any, str] = {
        one.__table__: one.__tablename__
        for one in travelling(sync.direction)
        if spec(one).stream == sync.stream
    }
    return [
        (key.parent.name, kin[key.column.table])
        for key in model.__table__.foreign_keys
        if key.column.table in kin
    ]
