"""The pages a passenger sees, drawn here and usable without JavaScript.

`routes` answers addresses, `pages` gathers what a page shows, `forms` takes what a form sends. The
looks are in html5/, which is released apart; a page may only use what `pages` gives it.
"""

from __future__ import annotations

from flask import Flask

from onboard_app.portal import pages, routes


def init_app(app: Flask) -> None:
    """Adds the pages and what every template knows."""
    app.register_blueprint(routes.blueprint)
    app.context_processor(pages.everywhere)
    app.add_template_filter(pages.grouped)
