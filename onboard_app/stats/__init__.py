"""What passengers do, kept for the statistics that go up after landing.

`events` writes them, `routes` takes them from players and apps; the portal writes its own page views
through `events` as well. Nothing here is ever read aboard.
"""

from __future__ import annotations

from flask import Flask

from onboard_app.stats import routes


def init_app(app: Flask) -> None:
    """Adds `/api/v1/stats`."""
    app.register_blueprint(routes.blueprint)
