"""Loading a change-set's rows: COPY into temporary tables, merge by primary key, deletes last.

It runs inside the transaction of `sync.apply`, which has checked the file and locked the cursor. A
change-set writes the tables and columns of its own stream here, and no others.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from common.schema import Base, travelling
from sync import changeset
from sync.capture import RECEIVES, spec

__all__ = ["Fold", "Refused", "load", "models"]

Fold = Callable[[Connection, str], None]


class Refused(Exception):
    """A change-set cannot be applied as things are; the file stays where it is."""


def models(header: changeset.Header, role: str, stream: str) -> dict[str, type[Base]]:
    """Return the models the change-set writes; it can write no other table and no other column."""
    known = {
        model.__tablename__: model
        for model in travelling(RECEIVES[role])
        if spec(model).stream == stream
    }
    for table in header.tables:
        model = known.get(table.table)
        columns = [] if model is None else [column.name for column in model.__table__.columns]
        unknown = [name for name in table.columns if name not in columns]
        if model is None or unknown:
            what = f"columns {', '.join(unknown)} of {table.table}" if model else table.table
            raise Refused(
                f"{what} is not in the schema here (the change-set is of schema {header.schema}). "
                "It waits until this host has that schema: deploy the newer release"
            )
        if "id" not in table.columns:
            raise changeset.BadChangeSet(table.table, "columns", "the key id", table.columns)
        if table.deletes and spec(model).mode == "append":
            raise changeset.BadChangeSet(
                table.table, "deletes of a model whose rows are only added", 0, table.deletes
            )
    return known


def load(
    connection: Connection,
    header: changeset.Header,
    parts: Iterator[Any],
    known: Mapping[str, type[Base]],
    folds: Mapping[str, Fold],
    *,
    whole: bool = False,
) -> None:
    """Write the rows and deletes of `parts`, whose header must still be `header`.

    Arguments: `known` is what `models` returned; `folds` are called with the name of the temporary
    table of rows that came; with `whole` the rows that did not come are gone. Raises `BadChangeSet`,
    or `DBAPIError` when the database refuses a row.
    """
    if next(parts) != header:
        raise changeset.BadChangeSet(header.stream, "header", "the one just checked", "another")
    for table in header.tables:
        if table.upserts:
            incoming = _stage(connection, table, parts)
            if spec(known[table.table]).direction == "up" and "aircraft" in table.columns:
                _own(connection, incoming, header.node)
            _merge(connection, table, incoming, known[table.table])
            if table.table in folds:
                folds[table.table](connection, incoming)
    for block in parts:
        _delete(connection, block)
    if whole:
        # Children first.
        for table in reversed(header.tables):
            _keep_only_what_came(connection, table)


def _stage(connection: Connection, table: changeset.Table, parts: Iterator[Any]) -> str:
    incoming = f"incoming_{table.table}"
    connection.execute(
        text(
            f"create temp table {incoming} "
            f"(like public.{table.table} including defaults) on commit drop"
        )
    )
    names = ", ".join(f'"{name}"' for name in table.columns)
    left = table.upserts
    while left:
        columns = [next(parts).lines() for _ in table.columns]
        data = b"\n".join(map(b"\t".join, zip(*columns, strict=True))) + b"\n"
        _copy_in(connection, f"{incoming} ({names})", data, len(columns[0]))
        left -= len(columns[0])
    return incoming


def _own(connection: Connection, incoming: str, node: str) -> None:
    """Refuse rows that one aircraft sends in another's name."""
    others = connection.scalars(
        text(f"select distinct aircraft from {incoming} where aircraft <> :node"),  # noqa: S608
        {"node": node},
    ).all()
    if others:
        raise Refused(
            f"expected rows of {node}, found some of {', '.join(sorted(others))[:80]}. Nothing of this "
            "change-set was applied, and the stream stops here: is the box still in our hands?"
        )


def _copy_in(connection: Connection, target: str, data: bytes, expected: int) -> None:
    cursor: Any = connection.connection.cursor()
    cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'")
    try:
        cursor.copy_expert(f"copy {target} from stdin", io.BytesIO(data))
    except cursor.connection.Error as error:
        raise DBAPIError(f"copy {target}", None, error) from error
    # COPY ends at a line `\.`, wherever it is.
    if cursor.rowcount != expected:
        raise changeset.BadChangeSet(target, "rows", expected, cursor.rowcount)


def _merge(
    connection: Connection, table: changeset.Table, incoming: str, model: type[Base]
) -> None:
    names = ", ".join(f'"{name}"' for name in table.columns)
    others = [name for name in table.columns if name != "id"]
    action = "nothing"
    if spec(model).mode == "state" and others:
        ours = ", ".join(f't."{name}"' for name in others)
        theirs = ", ".join(f'excluded."{name}"' for name in others)
        setting = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
        action = f"update set {setting} where ({ours}) is distinct from ({theirs})"
    connection.execute(
        text(
            f"insert into {table.table} as t ({names}) "  # noqa: S608  # names from our models
            f"select {names} from {incoming} on conflict (id) do {action}"
        )
    )


def _delete(connection: Connection, block: changeset.Block) -> None:
    name = block.table.table
    connection.execute(text(f"create temp table gone_{name} (id uuid) on commit drop"))
    _copy_in(connection, f"gone_{name} (id)", block.data, len(block.lines()))
    connection.execute(
        text(f"delete from {name} t using gone_{name} g where t.id = g.id")  # noqa: S608
    )
    connection.execute(text(f"drop table gone_{name}"))


def _keep_only_what_came(connection: Connection, table: changeset.Table) -> None:
    name = table.table
    others = f"where not exists (select from incoming_{name} i where i.id = t.id)"
    connection.execute(
        text(f"delete from {name} t {others if table.upserts else ''}")  # noqa: S608
    )
