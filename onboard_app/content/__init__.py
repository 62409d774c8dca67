"""What is on: films and newspapers, filtered for who asks, and only when their files are aboard.

`library` knows which items are complete, `catalogue` chooses and shapes them, `routes` speaks HTTP.
The files themselves are nginx's business.
"""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Adds `/api/v1/content`."""
    from onboard_app.content import routes

    app.register_blueprint(routes.blueprint)
