"""Prepares this host's database for its role; runs before each switch to a new release.

`python -m sync.setup`: migrations, then capture and guard triggers, then rows in quarantine once more, which
the new schema may take; a second run changes nothing.
"""

from __future__ import annotations

import logging
import sys

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from common import migrate
from common.clock import utc_now
from common.database import engine_for
from common.logging import configure
from common.settings import Settings, SettingsError
from sync import capture, held, users
from sync.load import Unsettled
from sync.retry import retry

__all__ = ["main", "setup"]

log = logging.getLogger(__name__)


def setup(engine: Engine, role: str) -> str:
    """Bring the database to this code's schema and the role's triggers; returns the schema version.

    >>> setup(engine, "aircraft")  # doctest: +SKIP
    '0001'
    """
    version = migrate.upgrade(engine)
    with engine.begin() as connection:
        for table in capture.install(connection, role):
            log.info("%s: triggers for role %s are in place", table, role)
    held.migrated(engine)
    try:
        tried = retry(engine, role, users.folds(utc_now) if role == "hangar" else {})
    except Unsettled as error:
        # No reason to keep a release out, which may be the one that mends it.
        log.error("rows in quarantine could not be tried again: %s", error)
        return version
    if tried.resolved:
        log.info("%d rows left quarantine, %d stay", tried.resolved, tried.refused)
    return version


def main() -> int:
    """Set this host up; 0 when done, 4 when it failed."""
    configure()
    try:
        settings = Settings.load()
        version = setup(engine_for(settings), settings.role)
    except SettingsError as error:
        log.error("%s", error)
        return 4
    except SQLAlchemyError as error:
        log.error(
            "cannot prepare the database: %s. Is PostgreSQL running here, with the database and "
            "the role that app.env names? Converging this host makes them",
            str(getattr(error, "orig", None) or error).strip(),
        )
        return 4
    log.info("%s: database is at schema %s", settings.node, version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
