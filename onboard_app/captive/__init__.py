"""The captive portal: what phones ask a network before they trust it, until their owner has seen the portal.

A phone asks at a name of its maker's, by plain HTTP, for something that it knows; another answer opens a
sign-in sheet. That shows the portal once; after the button there the phone gets what it expects, and stays.
Phones that know RFC 8910 and 8908 were told by DHCP where to ask instead.

Who pressed the button is known by the phone's address alone, for some hours: long enough for a flight, and
harmless where the address has another owner by then, who finds the portal by its name.
"""

from __future__ import annotations

from flask import Flask

from onboard_app.captive import routes


def init_app(app: Flask) -> None:
    """Adds the probes of phones, the API of RFC 8908, and the page with the button."""
    app.register_blueprint(routes.blueprint)
