"""Each schema of this release and of the two before reads each other, both ways; migrations made them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.schema import CreateColumn

from common import migrate
from common.clock import utc_now
from common.migrations import SHIPPED, newest
from common.schema import Base, Direction, travelling
from common.settings import Settings
from sync import apply, held, skew, users
from tests.conftest import PostgresServer
from tests.sync.ends import End, scalar
from tests.sync.packed import Packer, Rows

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

# One row of each model that travels, as every schema so far could have written it.
SAMPLES = {
    "usage_event": "(id, kind, aircraft) values ('{id}', 'play', 'EC-TAA')",
    "survey_answer": "(id, survey_id, choice, aircraft) values ('{id}', '{id}', 1, 'EC-TAA')",
    "user_event": "(id, user_id, field, value, hlc, aircraft) "
    "values ('{id}', '{id}', 'name', '\"Ada\"', 7, 'EC-TAA')",
    "item": "(id, kind, title) values ('{id}', 'film', '{{\"en\": \"x\"}}')",
    "asset": "(id, item_id, role, path, sha256, size, mime) "
    "select '{id}', id, 'poster', 'p', repeat('a', 64), 1, 'image/jpeg' from item",
    "survey": "(id, question, choices) values ('{id}', '{{}}', '[]')",
    "user_alias": "(id, canonical) values ('{id}', '{id}')",
    "user_clamp": "(id, reading) values ('{id}', 7)",
    "user_consent": "(id, user_id, purpose, given, after) values ('{id}', '{id}', 'mail', true, '{{}}')",
    "app_user": "(id, name) values ('{id}', 'Ada')",
    "payment": "(id, order_id, kind, amount_minor, currency, aircraft) "
    "values ('{id}', '{id}', 'charge', 100, 'EUR', 'EC-TAA')",
    "usage_gap": "(id, first_at, last_at, events, aircraft) "
    "values ('{id}', now(), now(), 3, 'EC-TAA')",
}


@dataclass
class Revisions:
    """Databases at revisions of the schema, made by the migrations themselves.

    What is older in them is what travels: the books are lent by the code that runs here, and are given back
    before the migrations that bring them.
    """

    server: PostgresServer
    engines: dict[str, Engine] = field(default_factory=dict)
    lent: dict[str, list[str]] = field(default_factory=dict)

    def at(self, revision: str) -> Engine:
        """A database of its own at this revision."""
        template = f"revision_{revision}"
        if revision not in self.lent:
            self.lent[revision] = self._make(template, revision)
        return self._engine(f"{template}_{len(self.engines)}", template)

    def _engine(self, name: str, template: str) -> Engine:
        self.server.run(f"create database {name} template {template}")
        self.engines[name] = create_engine(self.server.url(name))
        return self.engines[name]

    def _make(self, name: str, revision: str) -> list[str]:
        engine = self._engine(name, "template0")
        with engine.begin() as connection:
            command.upgrade(migrate.config(connection), revision)
            books = [one for one in Base.metadata.sorted_tables if one.schema == "sync"]
            found = inspect(connection)
            there = {
                table: {column["name"] for column in found.get_columns(table, "sync")}
                for table in found.get_table_names("sync")
            }
            lacking = [
                (table.name, column.name, CreateColumn(column).compile(dialect=connection.dialect))
                for table in books
                for column in table.columns
                if table.name in there and column.name not in there[table.name]
            ]
            for table, _, definition in lacking:
                connection.execute(text(f"alter table sync.{table} add {definition}"))
            Base.metadata.create_all(connection, tables=books)
        engine.dispose()
        return [f"alter table sync.{table} drop {column}" for table, column, _ in lacking] + [
            f"drop table sync.{table.name}" for table in books if table.name not in there
        ]

    def upgrade(self, engine: Engine, revision: str) -> None:
        with engine.begin() as connection:
            for statement in self.lent[revision]:
                connection.execute(text(statement))
        migrate.upgrade(engine)

    def drop(self) -> None:
        for name, engine in self.engines.items():
            engine.dispose()
            self.server.run(f"drop database {name}")


@pytest.fixture(scope="module")
def revisions(postgres_server: PostgresServer) -> Iterator[Revisions]:
    made = Revisions(postgres_server)
    yield made
    made.drop()


# Releases and not migrations: a release may bring several.
RELEASES = sorted({*SHIPPED, newest()})[-1 - skew.READ_BACK :]


def send_all(engine: Engine, to: End, direction: Direction, node: str, schema: str) -> list[str]:
    """Send every row there is as a sender of this schema does; returns the tables."""
    sent: dict[str, list[Rows]] = {}
    with engine.begin() as connection:
        models = travelling(direction)
        here = skew.columns_of(connection, [model.__tablename__ for model in models])
        for model in models:
            table = model.__tablename__
            if table not in here:
                continue
            connection.execute(
                text(f"insert into {table} {SAMPLES[table]}".format(id=uuid4()).replace(":", "\\:"))
            )
            columns = tuple(here[table])
            chosen = ", ".join(f'"{name}"::text' for name in columns)
            rows = connection.execute(text(f"select {chosen} from {table}")).all()
            additive = tuple(c.name for c in model.__table__.columns if c.info.get("added"))
            rows_of = Rows(table, columns, [tuple(row) for row in rows], additive=additive)
            sent.setdefault(model.__sync__.stream, []).append(rows_of)  # type: ignore[union-attr]
    for stream, tables in sent.items():
        Packer(to, node, stream, schema).send(*tables)
    return [rows.table for tables in sent.values() for rows in tables]


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("theirs", RELEASES)
@pytest.mark.parametrize("ours", RELEASES)
def test_each_schema_reads_each_other(
    revisions: Revisions,
    new_settings: Callable[..., Settings],
    ours: str,
    theirs: str,
    direction: Direction,
) -> None:
    node, role = ("EC-TAA", "hangar") if direction == "up" else ("hangar", "aircraft")
    here = "hangar" if role == "hangar" else "EC-TAA"
    receiver = End(new_settings(here, role), revisions.at(ours))
    tables = send_all(revisions.at(theirs), receiver, direction, node, theirs)
    # What they write into stands since 0008.
    folds = users.folds(utc_now) if role == "hangar" and ours >= "0008" else {}
    outcome = apply.apply_all(receiver.engine, receiver.settings, node, folds=folds)
    assert outcome.problems == []
    assert outcome.quarantined == 0
    if theirs <= ours:
        assert outcome.waiting == []
    # Whatever waited is applied by itself once the migrations ran.
    revisions.upgrade(receiver.engine, ours)
    again = apply.apply_all(receiver.engine, receiver.settings, node, folds=folds)
    assert again.problems == []
    for table in tables:
        assert scalar(receiver, f"select count(*) from {table}") == 1, table
    assert held.held(receiver.engine) == {}
