"""Brings a database to this code's schema; the migrations are found beside this file."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

__all__ = ["HEAD_LOCK", "config", "head", "upgrade"]

# Two releases may be set up at once after a power cut; one of them waits.
HEAD_LOCK = 0x7452_6E41


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; no alembic.ini is needed, from a checkout or from a wheel."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes["connection"] = connection
    return made


def head() -> str:
    """Return the newest migration's number, which is the schema version this code expects.

    >>> len(head())
    4
    """
    return ScriptDirectory.from_config(config()).get_current_head() or ""


def upgrade(engine: Engine) -> str:
    """Bring the database to `head()` in one transaction and return it; nothing to do is fine.

    A database that newer code has taken further stays so, and that version is returned: migrations only
    expand before a switch, so older code works with it.
    """
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": HEAD_LOCK})
        found = MigrationContext.configure(connection).get_current_revision() or ""
        if found > head():
            return found
        command.upgrade(config(connection), "head")
    return head()
