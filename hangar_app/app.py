"""The factory of the web application: a list of parts, each with its `init_app`."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from sqlalchemy.orm import scoped_session, sessionmaker

from common import logging
from common.database import engine_for
from common.settings import Settings
from hangar_app import (
    cms,
    context,
    csrf,
    fleet,
    forms,
    headers,
    health,
    ingest,
    login,
    metrics,
    pages,
    tower,
    uploads,
    worker,
)
from hangar_app.context import Context
from hangar_app.work import Job


def create_app(
    settings: Settings | None = None, enqueue: Callable[[Job], None] | None = None
) -> Flask:
    """Makes the hangar's web application.

    Args:
        settings: this host's; read from the environment where they are not given.
        enqueue: wakes a worker for a row of `work`; Celery's where it is not given.

    Raises:
        SettingsError: when the environment does not describe a hangar.

    Example:
        gunicorn --bind unix:/run/turnaround/web-dev.sock 'hangar_app:create_app()'
    """
    settings = settings or Settings.load()
    logging.configure()
    engine = engine_for(settings)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=settings.secret_key(),
        SESSION_COOKIE_NAME="hangar",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=1_000_000,
        MAX_FORM_MEMORY_SIZE=500_000,
        WTF_CSRF_TIME_LIMIT=12 * 3600,
    )
    session = scoped_session(sessionmaker(engine))
    context.attach(app, Context(settings, engine, session, enqueue or worker.enqueue))
    first = (headers, login, uploads, csrf, forms, health, metrics, tower)
    for part in (*first, pages, fleet, ingest, cms):
        part.init_app(app)
    return app
