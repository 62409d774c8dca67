"""The hangar: the central platform of the fleet. CMS, fleet page, heartbeats, dispatch, imports.

What lives here: the web application and the Celery workers beside it. It calls the functions of
`fleet` and `sync`; how change-sets and content travel, and how hosts are made, stands there. Nothing
here runs aboard, and nothing here may know a page or a route of the passengers' portal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["create_app"]


def create_app() -> Flask:
    """Makes the web application of this host, for gunicorn: `hangar_app:create_app()`.

    Imported here and not above, so that the workers and the commands do not load the pages.
    """
    from hangar_app import app

    return app.create_app()
