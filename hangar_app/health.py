"""/health for the hangar's release: healthy with a database, a schema and a readable catalogue."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import func, select

from common import health
from common.schema import Item
from hangar_app.context import of


def init_app(app: Flask) -> None:
    """Adds /health; its catalogue is the number of published items."""
    here = of(app)

    def catalogue() -> int:
        published = select(func.count()).select_from(Item).where(Item.published)
        return here.session().scalar(published) or 0

    app.register_blueprint(health.blueprint(here.engine, catalogue))
