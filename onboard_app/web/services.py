"""What the application was given: settings, database, flight store, clock, and the request's session.

The session is opened at its first use and closed with the request. What was not committed is rolled
back, so a view that fails writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Flask, current_app, g
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from common.clock import utc_now
from common.settings import Settings
from onboard_app.avionics.store import Store
from onboard_app.content.library import Library

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Services:
    """The outside world of the application."""

    settings: Settings
    engine: Engine
    store: Store
    library: Library
    clock: Callable[[], datetime] = utc_now


def init_app(app: Flask, given: Services) -> None:
    """Keeps the services with the application."""
    app.extensions["turnaround"] = given

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        session: Session | None = g.pop("session", None)
        if session is not None:
            session.close()


def services() -> Services:
    """The current application's services."""
    return cast(Services, current_app.extensions["turnaround"])


def commit_if_possible(what: str) -> None:
    """Commits what is worth keeping and not worth the request: on a full disk it is logged and let go.

    What the request reads after this it reads in a transaction of its own.
    """
    try:
        session().commit()
    except SQLAlchemyError as error:
        log.error("%s is not kept: %s", what, error)
        session().rollback()


def session() -> Session:
    """The current request's session; whoever writes also commits."""
    if "session" not in g:
        g.session = Session(services().engine, expire_on_commit=False)
    return cast(Session, g.session)
