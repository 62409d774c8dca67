"""Schema skew: how a change-set of an older or a newer schema than the one here is taken in.

The hangar goes first and the fleet follows for weeks, so both ends read each other across releases:

- an older sender, as many as `READ_BACK` releases behind: the columns that it sent are written, the
  others take their defaults, or what the model's `added(fill=…)` makes of the sent ones;
- a newer sender: columns that it marks as additive are left out, and asked for once they are known here
  (`sync.backfill`). Each column says so itself, where it is declared, because only who adds a column knows
  whether a row is right without it; one that says nothing, or a table that is not known, makes the
  stream wait for the migration. Waiting is the safe side: nothing is lost, and nothing is half understood.

What the schema here is, the database says; so a release that was rolled back still takes in what its
database has a place for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from common.migrations import SHIPPED, newest
from common.schema import Base, travelling
from sync import changeset
from sync.capture import RECEIVES, spec

__all__ = ["Column", "Parked", "Refused", "Share", "columns_of", "judge", "models", "share"]

READ_BACK = 2
_VERSION = re.compile(r"\d{4}")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Refused(Exception):
    """A change-set cannot be applied as things are; the file stays where it is."""


class Parked(Exception):
    """A change-set waits for a schema that this host does not have yet; the file stays where it is."""


@dataclass(frozen=True)
class Column:
    """A column as it is in the database here; `default` is an expression, `null` where it has none."""

    type: str
    default: str


@dataclass(frozen=True)
class Share:
    """How one table's rows are taken in.

    Arguments: `sent` are all columns that come; `lacking` are those of them that there is no place for
    here; `here` are the table's own; `fills` are expressions for columns that did not come.
    """

    model: type[Base]
    sent: tuple[str, ...]
    lacking: tuple[str, ...]
    here: Mapping[str, Column]
    fills: Mapping[str, str]

    @property
    def known(self) -> tuple[str, ...]:
        """The columns that come and are known here."""
        return tuple(name for name in self.sent if name in self.here)


def models(role: str, stream: str) -> dict[str, type[Base]]:
    """Return the models that a stream writes on a host of this role, parents first."""
    return {
        model.__tablename__: model
        for model in travelling(RECEIVES[role])
        if spec(model).stream == stream
    }


def columns_of(connection: Connection, tables: Iterable[str]) -> dict[str, dict[str, Column]]:
    """Return the columns of those of the tables that there are, by table and in their order.

    >>> columns_of(connection, ["survey_answer"])["survey_answer"]["choice"]  # doctest: +SKIP
    Column(type='bigint', default='null')
    """
    rows = connection.execute(
        text(
            # With -1 a type that has a length is named without one: a cast to it would cut values short.
            "select c.relname, a.attname, format_type(a.atttypid, -1) as type, "
            "coalesce(pg_get_expr(d.adbin, d.adrelid), 'null') as value "
            "from pg_class c join pg_attribute a on a.attrelid = c.oid "
            "left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum) "
            "where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' "
            "and c.relname = any(:tables) and a.attnum > 0 and not a.attisdropped "
            "order by a.attnum"
        ),
        {"tables": list(tables)},
    )
    found: dict[str, dict[str, Column]] = {}
    for row in rows:
        found.setdefault(row.relname, {})[row.attname] = Column(row.type, row.value)
    return found


def share(model: type[Base], sent: tuple[str, ...], here: Mapping[str, Column]) -> Share:
    """Return how rows with these columns are taken in where the table has the columns `here`."""
    return Share(
        model,
        sent,
        tuple(name for name in sent if name not in here),
        here,
        {
            column.name: column.info["fill"]
            for column in model.__table__.columns
            if column.info.get("fill") and column.name in here and column.name not in sent
        },
    )


def judge(
    connection: Connection, header: changeset.Header, role: str, stream: str, version: str
) -> dict[str, Share]:
    """Return how each table of the change-set is taken in; it can write no other table or column.

    Arguments: `version` is the schema that the database is at. Raises `Parked` when the change-set waits
    for a newer one, `Refused` when it is too old or asks for what this stream does not have, and
    `BadChangeSet` when no sender makes such a header.
    """
    if not _VERSION.fullmatch(header.schema):
        raise changeset.BadChangeSet(stream, "schema", "four digits", header.schema[:20])
    # A release that was rolled back knows less than its database.
    mine = min(version, newest())
    if (releases := behind(header.schema, mine)) > READ_BACK:
        raise Refused(
            f"it is of schema {header.schema}, {releases} releases before {mine} here, and {READ_BACK} are "
            "read. Bring the sender to a newer release: it then begins a new history, and sends these rows "
            "anew"
        )
    known = models(role, stream)
    here = columns_of(connection, known)
    shares = {}
    for table in header.tables:
        model = known.get(table.table)
        if model is None or table.table not in here:
            raise _unknown(table.table, header.schema, mine)
        made = share(model, table.columns, here[table.table])
        meant = [name for name in made.lacking if name not in table.additive]
        if meant or (made.lacking and header.schema <= mine):
            names = ", ".join(meant or made.lacking)
            raise _unknown(f"columns {names} of {table.table}", header.schema, mine)
        _check(table, model, made.lacking)
        shares[table.table] = made
    return shares


def behind(schema: str, version: str) -> int:
    """Return how many releases a schema is before a version.

    Those between two shipped ones came with the later.

    >>> behind("0001", "0003")
    2
    """
    return _generation(version) - _generation(schema)


def _generation(version: str) -> int:
    return sum(shipped < version for shipped in SHIPPED)


def _unknown(what: str, theirs: str, mine: str) -> Exception:
    if theirs > mine:
        return Parked(
            f"waits for schema {theirs}, because {what} is not in {mine} here. It is applied by itself once "
            "this host has that schema: deploy the newer release"
        )
    return Refused(
        f"{what} is not in the schema here, and {theirs}, which the change-set says it is of, has it no "
        f"more than {mine} here. Is the other end still in our hands?"
    )


def _check(table: changeset.Table, model: type[Base], lacking: tuple[str, ...]) -> None:
    if "id" not in table.columns:
        raise changeset.BadChangeSet(table.table, "columns", "the key id", table.columns)
    if table.deletes and spec(model).mode == "append":
        raise changeset.BadChangeSet(
            table.table, "deletes of a model whose rows are only added", 0, table.deletes
        )
    for name in lacking:
        # The others are in the database, so they are names; this one becomes one in a statement.
        if not _NAME.fullmatch(name):
            raise changeset.BadChangeSet(table.table, "columns", "names of columns", name[:40])
