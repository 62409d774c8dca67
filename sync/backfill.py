"""Backfill: what a receiver left out because its schema had no place for it, it asks for later.

While it cannot take the columns it only remembers them; once its schema has them, it asks. What answers
differs, because what is sent does:

- the hangar asks one aircraft, whose streams go to nobody else: the aircraft records the table's rows as
  changed, once for each asking, and they come again as changes do;
- an aircraft asks the hangar, whose change-sets are sealed once for all. To record the rows as changed
  would send the table to the whole fleet for each aircraft that is upgraded, so the answer is a snapshot of
  the stream: it is made once for all who ask, offered to those alone, and settles the need when it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from common.schema import travelling
from common.settings import Settings
from sync import changeset, files
from sync.capture import SENDS, record_all
from sync.skew import Share, columns_of

__all__ = ["answer", "answered", "asked_of", "needs", "note", "refills", "settle"]


def note(connection: Connection, peer: str, shares: Iterable[Share]) -> None:
    """Remember the columns that were left out, in the transaction that left them out."""
    for share in shares:
        if share.lacking:
            connection.execute(
                text(
                    "insert into sync.need as n (peer, tbl, reason, columns) "
                    "values (:peer, :tbl, 'backfill', :columns) on conflict (peer, tbl) do update "
                    "set reason = 'backfill', since = now(), "
                    "columns = array(select distinct unnest(n.columns || excluded.columns) order by 1)"
                ),
                {
                    "peer": peer,
                    "tbl": share.model.__tablename__,
                    "columns": sorted(share.lacking),
                },
            )


def needs(engine: Engine, peer: str) -> dict[str, str]:
    """Return what is asked of a peer: by table, the time since when columns are lacked that have a place now.

    >>> needs(engine, "hangar")  # doctest: +SKIP
    {'item': '2026-11-26T08:00:00+00:00'}
    """
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select tbl, columns, since from sync.need where peer = :peer and reason = 'backfill'"
            ),
            {"peer": peer},
        ).all()
        here = columns_of(connection, [row.tbl for row in rows]) if rows else {}
    return {
        row.tbl: _plain(row.since) for row in rows if set(row.columns) <= set(here.get(row.tbl, ()))
    }


def refills(connection: Connection, peer: str) -> dict[str, tuple[str, ...]]:
    """Return by table the columns that rows which are there already may still get from a peer."""
    rows = connection.execute(
        text("select tbl, columns from sync.need where peer = :peer and reason <> 'recorded'"),
        {"peer": peer},
    )
    return {row.tbl: tuple(row.columns) for row in rows}


def settle(connection: Connection, peer: str, header: changeset.Header) -> None:
    """Forget what was lacked of tables that a snapshot brought whole."""
    for table in header.tables:
        connection.execute(
            text(
                "delete from sync.need where peer = :peer and tbl = :tbl and reason <> 'recorded' "
                "and columns <@ cast(:columns as text[])"
            ),
            {"peer": peer, "tbl": table.table, "columns": list(table.columns)},
        )


def answer(engine: Engine, settings: Settings, asked: Mapping[str, datetime]) -> list[str]:
    """Record the rows that the hangar asks for as changed, once for each asking; returns the tables.

    Arguments: `asked` is `{table: since when it lacks them}`, a time with zone; what this host does not send
    is passed over.
    """
    recorded = []
    for model in travelling(SENDS[settings.role]):
        table = model.__tablename__
        if table not in asked:
            continue
        key = {"peer": files.HANGAR, "tbl": table, "since": asked[table]}
        with engine.begin() as connection:
            new = connection.execute(
                text(
                    "insert into sync.need as n (peer, tbl, reason, columns, since) "
                    "values (:peer, :tbl, 'recorded', '{}', :since) "
                    "on conflict (peer, tbl) do update set since = excluded.since "
                    "where n.since <> excluded.since"
                ),
                key,
            )
            if new.rowcount:
                record_all(connection, model, settings.node)
                recorded.append(table)
    return recorded


def answered(engine: Engine) -> dict[str, str]:
    """Return for which askings rows were recorded lately: the hangar stops to ask when it hears it."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select tbl, since from sync.need where reason = 'recorded' "
                "and since > now() - interval '30 days' order by tbl"
            )
        )
        return {row.tbl: _plain(row.since) for row in rows}


def asked_of(engine: Engine, peer: str, told: Mapping[str, object]) -> dict[str, str]:
    """Return what is asked of an aircraft, but for what it says that it recorded: that is on its way."""
    asked = needs(engine, peer)
    done = {table: since for table, since in asked.items() if told.get(table) == since}
    if done:
        with engine.begin() as connection:
            connection.execute(
                text("update sync.need set reason = 'coming' where peer = :peer and tbl = :tbl"),
                [{"peer": peer, "tbl": table} for table in done],
            )
    return {table: since for table, since in asked.items() if table not in done}


def _plain(since: datetime) -> str:
    # It is compared as text, and sessions may live in different time zones.
    return since.astimezone(UTC).isoformat()
