"""What a request of the hangar works with, made once in the factory and found through the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Flask, current_app
from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session

from common.clock import utc_now
from common.settings import Settings
from hangar_app.work import Job

EXTENSION = "hangar"


@dataclass(frozen=True)
class Context:
    """Settings, database and the ways out of a request; tests put their own in each place."""

    settings: Settings
    engine: Engine
    session: scoped_session[Session]
    enqueue: Callable[[Job], None]
    clock: Callable[[], datetime] = utc_now


def attach(app: Flask, context: Context) -> None:
    """Gives `app` its context; the session of a request ends with the request."""
    app.extensions[EXTENSION] = context

    @app.teardown_appcontext
    def _end(_error: BaseException | None) -> None:
        context.session.remove()


def of(app: Flask) -> Context:
    """The context that `app` was given."""
    return cast(Context, app.extensions[EXTENSION])


def hangar() -> Context:
    """The context of the app that handles this request."""
    return of(current_app)
