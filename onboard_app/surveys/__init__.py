"""Questions that the hangar asks, and the answers that go up after landing."""

from __future__ import annotations

from flask import Flask

from onboard_app.surveys import routes


def init_app(app: Flask) -> None:
    """Adds `/api/v1/surveys`."""
    app.register_blueprint(routes.blueprint)
