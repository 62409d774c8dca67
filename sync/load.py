"""Loading a change-set's rows: COPY as text into temporary tables, merge by primary key, deletes last.

It runs inside the transaction of `sync.apply`, which has checked the file and locked the cursor. Rows are
staged as text, and become values in the statement that merges them: so a value that is none is refused
there like any other bad row, alone (`sync.quarantine`), and nothing is read twice. Memory is bounded by
the bytes of one group of the file, whatever its rows (`sync.rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from traceback import extract_tb
from typing import Any

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from sync import changeset
from sync.capture import spec
from sync.quarantine import NUMBER, Keeper, Refusal, attempt, is_a_rows_fault, said, sift
from sync.rows import Rows
from sync.skew import Refused, Share

__all__ = ["Fold", "Staged", "Unsettled", "load", "take", "view"]

Fold = Callable[[Connection, str], None]


class Unsettled(Exception):
    """A fold failed, and no row was refused: what is to be mended is its code.

    It says where. What the error itself says may be a passenger's, and this goes to logs: PostgreSQL quotes
    what stands where its SQL is wrong.
    """

    def __init__(self, table: str, error: Exception) -> None:
        calls = extract_tb(error.__traceback__)
        at = next(call for call in reversed(calls) if "/sqlalchemy/" not in call.filename)
        where = f"{Path(at.filename).name}:{at.lineno}"
        kind = type(error.orig if isinstance(error, DBAPIError) else error).__name__
        super().__init__(f"{kind} at {where} while rows of {table} were settled")


@dataclass(frozen=True)
class Staged:
    """Rows of one table, or keys of rows that go (`op` D), as text in the temporary table `name`.

    Arguments: `refill` are columns that rows which are only added may still get here.
    """

    name: str
    share: Share
    op: str
    rows: int
    refill: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """The table that they are for."""
        return str(self.share.model.__tablename__)

    @property
    def incoming(self) -> str:
        """The view of them as values."""
        return f"{'incoming' if self.op == 'U' else 'leaving'}_{self.table}"


def load(
    connection: Connection,
    header: changeset.Header,
    parts: Iterator[Any],
    shares: Mapping[str, Share],
    folds: Mapping[str, Fold],
    keeper: Keeper,
    *,
    refills: Mapping[str, tuple[str, ...]],
    whole: bool = False,
) -> None:
    """Write the rows and deletes of `parts`, whose header must still be `header`.

    Arguments: `shares` is what `skew.judge` returned; `folds` are called with the name of a relation that
    has the rows that came and were taken; `keeper` gets those that were not; with `whole` the rows that did
    not come are gone. Raises `BadChangeSet`, `Refused`, `Unsettled`, or `DBAPIError` when the database cannot
    go on.
    """
    if next(parts) != header:
        raise changeset.BadChangeSet(header.stream, "header", "the one just checked", "another")
    cursor: Any = connection.connection.cursor()
    cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'")
    if whole:
        keeper.supersede_all()
    for (name, deletes), blocks in groupby(parts, key=_whose):
        op = "D" if deletes else "U"
        staged = _stage(connection, header, shares[name], op, blocks, refills.get(name, ()))
        keeper.supersede(staged.name, name)
        view(connection, staged)
        _sift(connection, staged, folds, keeper)
    if whole:
        # Children first.
        for table in reversed(header.tables):
            _keep_only_what_came(connection, table, keeper)


def _whose(block: changeset.Block) -> tuple[str, bool]:
    return block.table.table, block.column is None


def _stage(
    connection: Connection,
    header: changeset.Header,
    share: Share,
    op: str,
    blocks: Iterable[changeset.Block],
    refill: tuple[str, ...],
) -> Staged:
    name = share.model.__tablename__
    table = next(one for one in header.tables if one.table == name)
    rows, columns = (table.upserts, share.sent) if op == "U" else (table.deletes, ("id",))
    staged = Staged(f"{'staged' if op == 'U' else 'gone'}_{name}", share, op, rows, refill)
    listed = ", ".join(f'"{column}" text' for column in columns)
    connection.execute(text(f"create temp table {staged.name} ({listed}) on commit drop"))
    _copy_in(connection, staged, Rows(blocks, len(columns)))
    if op == "U" and spec(share.model).direction == "up" and "aircraft" in columns:
        _own(connection, staged.name, header.node)
    return staged


def _copy_in(connection: Connection, staged: Staged, rows: Rows) -> None:
    cursor: Any = connection.connection.cursor()
    try:
        cursor.copy_expert(f"copy {staged.name} from stdin", rows)
    except psycopg2.Error as caught:
        error = DBAPIError(f"copy {staged.name}", None, caught)
        if is_a_rows_fault(error):
            # As text every row is welcome: these are bytes that no PostgreSQL gives.
            raise changeset.BadChangeSet(staged.table, "values", "text", said(error)) from error
        raise error from caught
    # COPY ends at a line `\.`, wherever it is.
    if cursor.rowcount != staged.rows:
        raise changeset.BadChangeSet(staged.table, "rows", staged.rows, cursor.rowcount)


def _own(connection: Connection, staged: str, node: str) -> None:
    """Refuse rows that one aircraft sends in another's name."""
    others = connection.scalars(
        text(f"select distinct aircraft from {staged} where aircraft <> :node"),  # noqa: S608
        {"node": node},
    ).all()
    if others:
        raise Refused(
            f"expected rows of {node}, found some of {', '.join(sorted(others))[:80]}. Nothing of this "
            "change-set was applied, and the stream stops here: is the box still in our hands?"
        )


def view(connection: Connection, staged: Staged, numbered: bool = False) -> None:
    """Make the view of staged rows as values; with `numbered`, of those between two numbers.

    Columns that did not come are in it, too, so that a fold finds every column of its table.
    """
    share, known = staged.share, set(staged.share.known)
    values = ['"id"::uuid as "id"'] if staged.op == "D" else []
    if staged.op == "U":
        values = [
            f'"{name}"::{column.type} as "{name}"'
            if name in known
            else f'({column.default})::{column.type} as "{name}"'
            for name, column in share.here.items()
            if name not in share.fills
        ]
    source = staged.name
    if numbered:
        # Settings and no table: what changes with each attempt would be read again by each. The sequence
        # counts rows as they are read, and a savepoint does not take that back; behind the fence of
        # `offset` it counts those between the numbers alone.
        connection.execute(text("create temp sequence if not exists sifted"))
        source = (
            f"(select * from {staged.name} "  # noqa: S608
            f"where {NUMBER} between current_setting('sync.first')::bigint "
            "and current_setting('sync.last')::bigint offset 0) numbered "
            "where nextval('sifted') is not null"
        )
    query = f"select {', '.join(values)} from {source}"  # noqa: S608
    if staged.op == "U" and share.fills:
        filled = [
            f'({how})::{share.here[name].type} as "{name}"' for name, how in share.fills.items()
        ]
        query = f"select came.*, {', '.join(filled)} from ({query}) came"  # noqa: S608
    connection.execute(text(f"create or replace temp view {staged.incoming} as {query}"))


def _sift(
    connection: Connection, staged: Staged, folds: Mapping[str, Fold], keeper: Keeper
) -> None:
    """Take all rows at once; where that fails, find those that are to blame."""
    if attempt(connection, lambda: take(connection, staged, folds)) is None:
        return
    name, rows = staged.name, staged.rows
    if staged.op == "U":
        rows -= keeper.set_aside(staged.share.model, name)
    connection.execute(
        text(f"alter table {name} add column {NUMBER} bigint generated always as identity")
    )
    connection.execute(text(f"create unique index on {name} ({NUMBER})"))
    connection.execute(text(f"analyze {name}"))
    view(connection, staged, numbered=True)
    sift(
        1,
        rows,
        lambda first, last: between(connection, staged, folds, first, last),
        lambda number, error: keeper.keep(name, staged.table, staged.op, number, error),
    )


def between(
    connection: Connection, staged: Staged, folds: Mapping[str, Fold], first: int, last: int
) -> Refusal | None:
    """Take the rows of a numbered view that are between two numbers, or say why not."""
    connection.execute(
        text(
            "select set_config('sync.first', cast(:first as text), true), "
            "set_config('sync.last', cast(:last as text), true), "
            "setval('sifted', :first, false)"
        ),
        {"first": first, "last": last},
    )
    error = attempt(connection, lambda: take(connection, staged, folds))
    if error is None:
        return None
    return Refusal(error, connection.scalar(text("select last_value from sifted")) or 0)


def take(connection: Connection, staged: Staged, folds: Mapping[str, Fold]) -> None:
    """Merge the rows of the view, or delete those whose keys are in it; folds see just those rows.

    Raises `Unsettled` when a fold has a defect, and `DBAPIError`.
    """
    if staged.op == "D":
        connection.execute(
            text(
                f"delete from public.{staged.table} t using {staged.incoming} g "  # noqa: S608
                "where t.id = g.id"
            )
        )
        return
    _merge(connection, staged)
    if staged.table not in folds:
        return
    try:
        folds[staged.table](connection, staged.incoming)
    except Exception as error:
        if isinstance(error, DBAPIError) and not _is_a_defect(error):
            raise
        raise Unsettled(staged.table, error) from error


def _is_a_defect(error: DBAPIError) -> bool:
    """Return whether the same SQL would fail with other rows and at another time, too."""
    passes = isinstance(error, OperationalError) or error.connection_invalidated
    return not (passes or is_a_rows_fault(error))


def _merge(connection: Connection, staged: Staged) -> None:
    columns = (*staged.share.known, *staged.share.fills)
    names = ", ".join(f'"{name}"' for name in columns)
    append = spec(staged.share.model).mode == "append"
    settable = [name for name in columns if name in staged.refill] if append else columns
    others = [name for name in settable if name != "id"]
    action = "nothing"
    if others:
        ours = ", ".join(f't."{name}"' for name in others)
        theirs = ", ".join(f'excluded."{name}"' for name in others)
        setting = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
        action = f"update set {setting} where ({ours}) is distinct from ({theirs})"
    connection.execute(
        text(
            f"insert into public.{staged.table} as t ({names}) "  # noqa: S608  # names from our models
            f"select {names} from {staged.incoming} on conflict (id) do {action}"
        )
    )


def _keep_only_what_came(connection: Connection, table: changeset.Table, keeper: Keeper) -> None:
    # A row that came and was refused, or waits for one that was, stays as it was: it did not go.
    others = (
        f"where not exists (select from staged_{table.table} i where i.id = t.id::text) "  # noqa: S608
        "and t.id::text not in (select key from sync.quarantine "
        "where peer = :peer and stream = :stream and state = 'open' and tbl = :table)"
    )
    connection.execute(
        text(f"delete from public.{table.table} t {others if table.upserts else ''}"),  # noqa: S608
        {"peer": keeper.peer, "stream": keeper.header.stream, "table": table.table},
    )
