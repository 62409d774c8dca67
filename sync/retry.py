"""Rows in quarantine tried again: after what came later, after a migration, or because someone says so.

They go in by the statements that change-sets go in by, parents before children, and each that is still
refused stays alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DBAPIError

from common.schema import Base, travelling
from sync import orphans
from sync.capture import RECEIVES, spec
from sync.load import Fold, Staged, between, view
from sync.quarantine import NUMBER, described, sift
from sync.skew import columns_of, share
from sync.user_lock import alone

__all__ = ["Retried", "retry", "retry_in"]

# What was decided is kept so long: its rows are passengers' as well.
KEPT = "30 days"
_OVER = f"state <> 'open' and decided_at < now() - interval '{KEPT}'"
_OPEN = "state = 'open' and peer = coalesce(:peer, peer)"


@dataclass
class Retried:
    """How many rows of the quarantine were applied, and how many are refused still."""

    resolved: int = 0
    refused: int = 0


def retry(
    engine: Engine,
    role: str,
    folds: Mapping[str, Fold],
    *,
    peer: str | None = None,
) -> Retried:
    """Try the open rows of a peer again, those of every stream: what a row lacks may come by another.

    Arguments: `peer` None is everybody's, as after a migration.

    >>> retry(engine, "hangar", {}, peer="EC-TAA")  # doctest: +SKIP
    Retried(resolved=1, refused=0)
    """
    which = {"peer": peer}
    with engine.begin() as connection:
        there = f"select exists (select from sync.quarantine where ({_OPEN}) or ({_OVER}))"  # noqa: S608
        # Mostly there is nothing, and then nobody is waited for.
        if not connection.scalar(text(there), which):
            return Retried()
        alone(connection)
        query = f"select id from sync.quarantine where {_OPEN} order by id for update skip locked"  # noqa: S608
        found = connection.scalars(text(query), which).all()
        done = retry_in(connection, role, folds, found, "sync", "") if found else Retried()
        connection.execute(text(f"delete from sync.quarantine where {_OVER}"))  # noqa: S608
    return done


def retry_in(
    connection: Connection,
    role: str,
    folds: Mapping[str, Fold],
    ids: Collection[int],
    who: str,
    why: str,
) -> Retried:
    """Try these rows in the caller's transaction; `who` resolves those that go in.

    The caller has taken `alone` (`sync.user_lock`), and then locked them.
    """
    connection.execute(
        text(
            "select set_config('sync.applying', 'on', true), set_config('timezone', 'UTC', true), "
            "set_config('datestyle', 'ISO, YMD', true)"
        )
    )
    connection.execute(text("set constraints all deferred"))
    known = {model.__tablename__: model for model in travelling(RECEIVES[role])}
    rows = connection.execute(
        text(
            "select id, tbl, op, array(select jsonb_object_keys(row) order by 1) as columns "
            "from sync.quarantine where id = any(:ids)"
        ),
        {"ids": list(ids)},
    ).all()
    done = Retried()
    # What the code here does not know any more waits for someone to drop it.
    ordered = sorted((row for row in rows if row.tbl in known), key=lambda row: _rank(known, row))
    for _, group in groupby(ordered, key=lambda row: (row.op, row.tbl, row.columns)):
        there = _still_there(connection, list(group))
        waiting = _waiting(connection, known, there)
        done.refused += len(waiting)
        some = [row for row in there if row.id not in waiting]
        if not some:
            continue
        resolved = _group(connection, known[some[0].tbl], some, folds)
        _resolve(connection, resolved, who, why)
        done.resolved += len(resolved)
        done.refused += len(some) - len(resolved)
    return done


def _still_there(connection: Connection, rows: list[Row[Any]]) -> list[Row[Any]]:
    """Return those that no row before them has removed: one may be a person's wish to be forgotten."""
    there = set(
        connection.scalars(
            text("select id from sync.quarantine where id = any(:ids)"),
            {"ids": [row.id for row in rows]},
        )
    )
    return [row for row in rows if row.id in there]


def _waiting(
    connection: Connection, known: Mapping[str, type[Base]], rows: list[Row[Any]]
) -> set[int]:
    """Return those that need not be tried, because their parent was just refused again."""
    if not rows or rows[0].op == "D":
        return set()
    return orphans.still(connection, known[rows[0].tbl], [row.id for row in rows])


def _rank(known: Mapping[str, type[Base]], row: Row[Any]) -> tuple[Any, ...]:
    """Parents are written first and go last."""
    rank = spec(known[row.tbl]).rank
    return row.op == "D", -rank if row.op == "D" else rank, row.tbl, row.columns, row.id


def _group(
    connection: Connection, model: type[Base], rows: list[Row[Any]], folds: Mapping[str, Fold]
) -> list[int]:
    """Try rows that came with the same columns; returns the ids of those that went in."""
    ids, columns = [row.id for row in rows], tuple(rows[0].columns)
    table, op = model.__tablename__, rows[0].op
    made = share(model, columns, columns_of(connection, [table])[table])
    name = f"{'staged' if op == 'U' else 'gone'}_{table}"
    values = ", ".join(f"row ->> '{column}' as \"{column}\"" for column in columns)
    connection.execute(
        text(
            f"create temp table {name} on commit drop as "  # noqa: S608  # names that were checked
            f"select row_number() over (order by id) as {NUMBER}, {values} "
            "from sync.quarantine where id = any(:ids)"
        ),
        {"ids": ids},
    )
    staged = Staged(name, made, op, len(ids))
    view(connection, staged, numbered=True)
    refused: set[int] = set()

    def bad(number: int, error: DBAPIError) -> None:
        refused.add(ids[number - 1])
        connection.execute(
            text(
                "update sync.quarantine set attempts = attempts + 1, tried_at = now(), "
                "sqlstate = :sqlstate, error = :error where id = :id"
            ),
            {"id": ids[number - 1], **described(error)},
        )

    sift(1, len(ids), lambda a, b: between(connection, staged, folds, a, b), bad)
    connection.execute(text(f"drop table {name} cascade"))
    return [id for id in ids if id not in refused]


def _resolve(connection: Connection, ids: list[int], who: str, why: str) -> None:
    connection.execute(
        text(
            "update sync.quarantine set state = 'resolved', attempts = attempts + 1, "
            "tried_at = now(), decided_at = now(), decided_by = :who, reason = :why "
            "where id = any(:ids)"
        ),
        {"ids": ids, "who": who, "why": why},
    )
