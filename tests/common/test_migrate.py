"""The migrations and the models describe one schema, and a database is brought to it only once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from common import migrate
from common.health import schema_version
from common.schema import Base
from sync.setup import setup
from tests.conftest import PostgresServer


@pytest.mark.postgres
def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_schemas": True, "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.postgres
def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    assert migrate.upgrade(engine) == migrate.upgrade(engine) == schema_version(engine)


@pytest.mark.postgres
def test_what_newer_code_has_taken_further_stays_so(new_database: Callable[..., Engine]) -> None:
    engine = new_database()
    with engine.connect() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
        connection.commit()
    try:
        assert setup(engine, "aircraft") == schema_version(engine) == "9999"
    finally:
        with engine.begin() as connection:
            connection.execute(
                text("update alembic_version set version_num = :head"), {"head": migrate.head()}
            )


@pytest.mark.postgres
def test_two_accounts_of_one_person_are_two_on_databases_that_exist_already(
    postgres_server: PostgresServer,
) -> None:
    postgres_server.run("create database before")
    engine = create_engine(postgres_server.url("before"))
    insert = text(
        "insert into user_event (id, user_id, field, value, hlc, aircraft) values "
        "(gen_random_uuid(), gen_random_uuid(), 'same', 'null', 1, 'EC-TAA')"
    )
    with engine.begin() as connection:
        command.upgrade(migrate.config(connection), "0009")
        connection.execute(insert)
    assert migrate.upgrade(engine) == migrate.head(), "what is there does not stop it"
    with engine.connect() as connection, pytest.raises(IntegrityError, match="ck_user_event_value"):
        connection.execute(insert)
    engine.dispose()
    postgres_server.run("drop database before")


def test_migrations_are_found_from_any_folder(tmp_path: Path) -> None:
    top = Path(migrate.__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", "from common import migrate; print(migrate.head())"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(top), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "0010"
