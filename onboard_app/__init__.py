"""What runs aboard: passenger API and portal, avionics, agent.

`create_app` is the web application; `python -m onboard_app.avionics` and
`python -m onboard_app.agent` are the other two processes. They share no memory: the flight's state
goes through Redis, everything that must survive through PostgreSQL. Nothing here may import the
hangar or the fleet's tools, and nothing may ask a host outside the aircraft except the agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from onboard_app.web.services import Services

__all__ = ["create_app"]


def create_app(services: Services | None = None) -> Flask:
    """Makes the web application; see `onboard_app.app`.

    The import waits until it is called: avionics and agent start without the web's packages.
    """
    from onboard_app.app import create_app as make

    return make(services)
