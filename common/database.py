"""The one way to the database: an engine for a host's settings, and short sessions on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from common.settings import Settings

__all__ = ["engine_for", "session"]


def engine_for(settings: Settings) -> Engine:
    """Return a new engine on the host's database; it connects when it is first used.

    A connection that died with the server (power cut, upgrade) is replaced before it is handed out.
    """
    return create_engine(
        settings.database_url,
        pool_pre_ping=True,
        # An error's text goes to logs, and what a statement carries can be a passenger's.
        hide_parameters=True,
        connect_args={"application_name": f"turnaround {settings.node}", "connect_timeout": 10},
    )


@contextmanager
def session(engine: Engine) -> Iterator[Session]:
    """Give a session that is committed at the end of the block and rolled back when it raises.

    >>> with session(engine) as database:        # doctest: +SKIP
    ...     database.add(item)
    """
    with Session(engine) as database, database.begin():
        yield database
