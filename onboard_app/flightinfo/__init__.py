"""Where we are: the flight's state for everyone aboard, and the portal's map.

The state is read from the store that `avionics` writes and is never interpreted here beyond drawing
it. `world.json` is data (see make_world.py), `cities.py` a short list of names for orientation.
"""

from __future__ import annotations

from flask import Flask

from onboard_app.flightinfo import routes


def init_app(app: Flask) -> None:
    """Adds `/api/v1/flightinfo`."""
    app.register_blueprint(routes.blueprint)
