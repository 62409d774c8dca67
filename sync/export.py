"""Exporting rows as a transaction's snapshot sees them: those of a batch, or whole tables, column by column.

What is to be written of a batch is in a temporary table: each key once, and where its row lies, null if it
has none. So a row is looked for once. It stays there as long as the transaction lasts that wrote this down:
what that sees is not vacuumed, and a table that it has read is not written anew. Rows stream from the
database into the file in groups, so that memory does not grow with their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, text
from sqlalchemy.exc import DBAPIError

from common.schema import Base
from sync import changeset, files, packing
from sync.capture import spec

__all__ = ["CLAIMED", "TooLarge", "table", "write"]

GROUP_ROWS = 16_384
GROUP_BYTES = 4 * 2**20
# Filled by who claims, in the same transaction.
CLAIMED = "create temp table claimed (tbl text, pk uuid, place tid) on commit drop"


class TooLarge(Exception):
    """The rows are more bytes than was allowed."""


def table(connection: Connection, model: type[Base], *, whole: bool = False) -> changeset.Table:
    """Return what a header says of the model's claimed rows: those that are there, and those that are gone.

    Rows that are only added are never gone: one that was removed after it was recorded is left out.
    Arguments: `whole` is for all rows that there are, claimed or not.
    """
    name = model.__tablename__
    claimed, there = connection.execute(
        text(
            f"select count(*), count(*) from {name}"  # noqa: S608  # our own table names
            if whole
            else f"select count(*), count(place) from claimed where tbl = '{name}'"  # noqa: S608
        )
    ).one()
    return changeset.Table(
        name,
        tuple(column.name for column in model.__table__.columns),
        upserts=there,
        deletes=claimed - there if spec(model).mode == "state" else 0,
        additive=tuple(one.name for one in model.__table__.columns if one.info.get("added")),
    )


def write(
    connection: Connection,
    path: Path,
    header: changeset.Header,
    models: Sequence[type[Base]],
    most: int | None = None,
) -> tuple[str, int]:
    """Write the models' claimed rows and wait until the file is on the disk; returns its SHA-256 and size.

    Arguments: `header` has the `table` of each model, in order; if it is `whole`, claimed or not. `most` is
    how many bytes of values there may be, before compression. Raises `TooLarge` when there are more, and
    `DBAPIError` when the database cannot give them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.open_anew(path) as out:
        writer = changeset.Writer(out, header)
        groups = _Groups(writer.group, most)
        for model, share in zip(models, header.tables, strict=True):
            if share.upserts:
                groups.begin([isinstance(one.type, DateTime) for one in model.__table__.columns])
                columns = ", ".join(f't."{column}"' for column in share.columns)
                rows = f"from {share.table} t"
                if not header.whole:
                    # Not as a join, which would read the whole table for a tenth of it.
                    places = f"select place from claimed where tbl = '{share.table}'"  # noqa: S608
                    rows += f" where ctid = any (array({places}))"
                _copy_out(connection, f"select {columns} {rows} order by id", groups)
        for share in reversed(header.tables):
            if share.deletes:
                groups.begin([False])
                gone = f"from claimed where tbl = '{share.table}' and place is null"
                _copy_out(connection, f"select pk {gone} order by pk", groups)
        written = writer.end()
        out.flush()
        # Whoever may read the outbox reads this file; nobody writes it again.
        os.fchmod(out.fileno(), 0o444)
        os.fsync(out.fileno())
    return written


def _copy_out(connection: Connection, query: str, groups: _Groups) -> None:
    cursor: Any = connection.connection.cursor()
    try:
        # What COPY prints must not depend on a session's habits.
        cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'")
        cursor.copy_expert(f"copy ({query}) to stdout", groups)
    except cursor.connection.Error as error:
        raise DBAPIError(f"copy ({query})", None, error) from error
    groups.end()


class _Groups:
    """Takes the rows of a COPY, each in one piece (libpq's PQgetCopyData), and hands on groups of columns."""

    def __init__(
        self, hand_on: Callable[[Sequence[Sequence[bytes]]], None], most: int | None
    ) -> None:
        self._hand_on, self._left = hand_on, most
        self._rows: list[bytes] = []
        self._size = 0

    def begin(self, times: Sequence[bool]) -> None:
        """Expect rows of so many columns; says of each whether it holds times."""
        self._times = times

    def write(self, row: bytes) -> None:
        self._rows.append(row)
        self._size += len(row)
        if self._size >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self.end()

    def end(self) -> None:
        if self._left is not None:
            self._left -= self._size
            if self._left < 0:
                raise TooLarge
        # The whole group at once: a step for each row, or each value, would be the most of the work.
        values = b"".join(self._rows).replace(b"\n", b"\t").split(b"\t")[:-1]
        if values:
            self._hand_on([self._column(values, place) for place in range(len(self._times))])
        self._rows, self._size = [], 0

    def _column(self, values: list[bytes], place: int) -> list[bytes]:
        column = values[place :: len(self._times)]
        return packing.even_times(column) if self._times[place] else column
