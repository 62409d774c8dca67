"""Exporting the rows of a batch: what the snapshot of `sync.seal` sees, column by column.

It reads the keys that were claimed from the temporary table `claimed`, made by `sync.seal`.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from common.schema import Base
from sync import changeset
from sync.capture import spec

__all__ = ["Export", "rows", "write"]


@dataclass(frozen=True)
class Export:
    """One table's claimed rows as they are, and the claimed keys whose rows are gone."""

    table: changeset.Table
    columns: list[bytes]
    deletes: bytes

    @property
    def size(self) -> int:
        """The bytes of its values before compression."""
        return sum(len(column) for column in self.columns) + len(self.deletes)


def rows(connection: Connection, model: type[Base]) -> Export:
    """Return the model's claimed rows in the order of their keys.

    Raises `DBAPIError` when the database cannot give them.
    """
    name = model.__tablename__
    columns = tuple(column.name for column in model.__table__.columns)
    chosen = ", ".join(f't."{column}"' for column in columns)
    join = f"from {name} t join claimed c on c.tbl = '{name}' and c.pk = t.id order by t.id"
    lines = _copy_out(connection, f"select {chosen} {join}").split(b"\n")[:-1]
    values = zip(*(line.split(b"\t") for line in lines), strict=True)
    deletes = b""
    if spec(model).mode == "state":
        deletes = _copy_out(
            connection,
            f"select c.pk from claimed c where c.tbl = '{name}' and not exists "  # noqa: S608
            f"(select from {name} t where t.id = c.pk) order by c.pk",
        )
    return Export(
        changeset.Table(name, columns, upserts=len(lines), deletes=deletes.count(b"\n")),
        [b"\n".join(column) + b"\n" for column in values],
        deletes,
    )


def _copy_out(connection: Connection, query: str) -> bytes:
    out = io.BytesIO()
    cursor: Any = connection.connection.cursor()
    try:
        # What COPY prints must not depend on a session's habits.
        cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'")
        cursor.copy_expert(f"copy ({query}) to stdout", out)
    except cursor.connection.Error as error:
        raise DBAPIError(f"copy ({query})", None, error) from error
    return out.getvalue()


def write(path: Path, header: changeset.Header, exports: list[Export]) -> tuple[str, int]:
    """Write a change-set and wait until it is on the disk; returns its SHA-256 and size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        written = changeset.write(
            out,
            header,
            (export.columns for export in exports),
            (export.deletes for export in reversed(exports)),
        )
        out.flush()
        # Whoever may read the outbox reads this file; nobody writes it again.
        os.fchmod(out.fileno(), 0o444)
        os.fsync(out.fileno())
    return written
