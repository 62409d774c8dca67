"""Rows that the database refuses: found by splitting, kept aside, and overtaken by later ones.

A bad row must not stop its stream for ever. Where a change-set's rows are refused, the block they came in
is split until the row is alone; the rest is applied, and the row is kept with what was wrong in the same
transaction. Too many of them are no rows' fault: then the stream stops and nothing is applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from common.schema import Base, travelling
from sync import changeset, orphans
from sync.skew import Refused
from sync.user_lock import before_rows_of

__all__ = [
    "NUMBER",
    "Keeper",
    "Refusal",
    "attempt",
    "described",
    "is_a_rows_fault",
    "never_partial",
    "said",
    "sift",
]

# One poison row of a landing's twenty is over any share, so a few are borne whatever the share.
FEW = 10
SHARE = 0.05
MOST = 1000
NUMBER = '"#"'
"""The column of a staging table that numbers its rows from 1; no column of a model is called so."""

# PostgreSQL, appendix A: cardinality (a key twice in one block), data, integrity, check option, a trigger's
# own exception, and limits (a value too long for an index, JSON too deep).
_ROWS_FAULT = ("21", "22", "23", "44", "P0", "54")
_QUOTED = re.compile(r'".*"', re.DOTALL)


def is_a_rows_fault(error: DBAPIError) -> bool:
    """Return whether other rows would have been taken: not when a disk is full or a lock is not had."""
    return (getattr(error.orig, "pgcode", None) or "")[:2] in _ROWS_FAULT


def said(error: DBAPIError) -> str:
    """Return what the database said, without the row: it can be a passenger's, and this goes to logs.

    Of a value that is none of its type (SQLSTATE class 22) PostgreSQL quotes the value.
    """
    if isinstance(error.orig, psycopg2.Error) and error.orig.diag.message_primary:
        found = str(error.orig.diag.message_primary)
        return _QUOTED.sub('"…"', found) if (error.orig.pgcode or "")[:2] == "22" else found
    return str(error.orig).strip()


def never_partial(stream: str) -> bool:
    """Return whether the stream is applied whole or not at all: payments are."""
    return any(
        sync.stream == stream and sync.retention == "payment"
        for sync in (model.__sync__ for model in travelling("up"))
        if sync is not None
    )


def attempt(connection: Connection, step: Callable[[], None]) -> DBAPIError | None:
    """Do it behind a savepoint; returns the error when a row was refused, and then nothing was done.

    What is checked at a COMMIT only is checked here. Raises `DBAPIError` when no row is to blame.
    """
    try:
        with connection.begin_nested():
            step()
            connection.execute(text("set constraints all immediate; set constraints all deferred"))
    except DBAPIError as error:
        if not is_a_rows_fault(error):
            raise
        return error
    return None


@dataclass(frozen=True)
class Refusal:
    """Why a range of rows was not taken; `at` is the row that it was at then, as far as that is known."""

    error: DBAPIError
    at: int


def sift(
    first: int,
    last: int,
    take: Callable[[int, int], Refusal | None],
    bad: Callable[[int, DBAPIError], None],
) -> None:
    """Take rows by number, in few attempts: what is refused is split where it was, or else halved.

    So a bad row costs 3 attempts where PostgreSQL refuses it at once, and 2 log2(n) where it is refused in
    the end, as a missing parent is; rows are tried again in ever smaller parts, and never all for each.

    Arguments: `take` applies rows from one number to another, or none of them; `bad` is told each single
    row that was refused, and may raise to give up.

    >>> sift(1, 8, lambda a, b: Refusal(error, 6) if a <= 6 <= b else None, lambda n, error: print(n))
    ... # doctest: +SKIP
    6
    """
    left = [(first, last)]
    while left:
        first, last = left.pop()
        refusal = take(first, last) if first <= last else None
        if refusal is None:
            continue
        if first == last:
            bad(first, refusal.error)
            continue
        # The earlier rows first: an order that the sender gave is kept.
        if first <= refusal.at < last:
            left += [(refusal.at + 1, last), (refusal.at, refusal.at), (first, refusal.at - 1)]
        else:
            middle = (first + last) // 2
            left += [(middle + 1, last), (first, middle)]


@dataclass
class Keeper:
    """Keeps the refused rows of one change-set, and gives up when they are too many.

    Arguments: `open` is how many of the peer's stream were refused before; `overtakes`: whether there are
    any at all that a later row may take the place of, those that only wait for one of them included.
    `waiting` is how many of this change-set wait.
    """

    connection: Connection
    peer: str
    header: changeset.Header
    open: int
    overtakes: bool
    kept: int = 0
    waiting: int = 0

    @classmethod
    def of(cls, connection: Connection, peer: str, header: changeset.Header) -> Keeper:
        """Return one for a change-set that is about to be loaded."""
        found = connection.execute(
            text(
                "select count(*) filter (where sqlstate <> :waits) as refused, count(*) > 0 as some "
                "from sync.quarantine where peer = :peer and stream = :stream and state = 'open'"
            ),
            {"peer": peer, "stream": header.stream, "waits": orphans.WAITS},
        ).one()
        return cls(connection, peer, header, found.refused, found.some)

    def set_aside(self, model: type[Base], staged: str) -> int:
        """Keep what only waits for a row that is kept; returns how many rows that were."""
        moved = orphans.set_aside(self.connection, self.peer, self.header, model, staged)
        self.waiting += moved
        return moved

    def keep(self, staged: str, table: str, op: str, number: int, error: DBAPIError) -> None:
        """Keep one row of a staging table. Raises `Refused` when that is one too many."""
        self.kept += 1
        self._bear(staged, table, number, error)
        self.connection.execute(
            text(
                "insert into sync.quarantine (peer, stream, epoch, seq, tbl, key, op, row, sqlstate, "  # noqa: S608
                "error) select :peer, :stream, :epoch, :seq, :tbl, coalesce(s.id, ''), :op, "
                f"to_jsonb(s) - '#', :sqlstate, :error from {staged} s where s.{NUMBER} = :number"
            ),
            {
                "peer": self.peer,
                "stream": self.header.stream,
                "epoch": self.header.epoch,
                "seq": self.header.seq,
                "tbl": table,
                "op": op,
                "number": number,
                **described(error),
            },
        )

    def _bear(self, staged: str, table: str, number: int, error: DBAPIError) -> None:
        if never_partial(self.header.stream):
            key = self.connection.scalar(
                text(f"select id from {staged} where {NUMBER} = :number"),  # noqa: S608
                {"number": number},
            )
            raise Refused(
                f"the database refused the row {key} of {table}: {said(error)}. Payments are applied whole "
                "or not at all, so nothing of this change-set was, and the stream stops here until what "
                "refuses it is mended on this host; the next run tries again"
            ) from error
        rows = sum(one.upserts + one.deletes for one in self.header.tables)
        most = max(FEW, min(MOST, int(rows * SHARE)))
        if self.kept > most:
            raise Refused(
                f"the database refused a row, and then another, {self.kept} of {rows}: {said(error)} "
                f"({table}). So many are no rows' fault but a schema's or a setting's: nothing of this "
                "change-set was applied, and the stream stops here until that is mended; the next run "
                "tries again"
            ) from error
        if self.open + self.kept > MOST:
            raise Refused(
                f"{self.open} rows of this stream are in quarantine already, and {self.kept} more came: "
                f"{said(error)} ({table}). Nothing of this change-set was applied, and the stream stops "
                "here until they are decided: fab quarantine.list shows them"
            ) from error

    def supersede(self, staged: str, table: str) -> None:
        """End the quarantine of rows that a later one of the same key takes the place of."""
        if self.overtakes:
            which = f"tbl = :tbl and key in (select id from {staged})"  # noqa: S608
            self._supersede(which, tbl=table)

    def supersede_all(self) -> None:
        """End the quarantine of all rows of the stream: all that there are in it came anew."""
        if self.overtakes:
            self._supersede("true")

    def _supersede(self, which: str, **more: Any) -> None:
        before_rows_of(self.connection, self.header.stream)
        refused = self.connection.scalar(
            text(
                "with done as (update sync.quarantine set state = 'superseded', "  # noqa: S608
                "decided_by = 'sync', decided_at = now(), reason = :reason "
                f"where peer = :peer and stream = :stream and state = 'open' and {which} "
                "returning sqlstate) select count(*) from done where sqlstate <> :waits"
            ),
            {
                "peer": self.peer,
                "stream": self.header.stream,
                "waits": orphans.WAITS,
                "reason": f"change-set {self.header.seq} has a later one of the same key",
                **more,
            },
        )
        # What only waited was not counted.
        self.open -= refused or 0


def described(error: DBAPIError) -> dict[str, str]:
    """Return an error as the quarantine keeps it, for people who may see the row."""
    diag = error.orig.diag if isinstance(error.orig, psycopg2.Error) else None
    detail = (diag and diag.message_detail) or ""
    # It stands beside the row, which PostgreSQL need not say again.
    more = "" if not detail or detail.startswith("Failing row contains") else f" ({detail})"
    return {
        "sqlstate": (diag and diag.sqlstate) or "",
        "error": f"{said(error)}{more}"[:2000],
    }
