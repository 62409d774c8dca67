"""Routing of the flight's state."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from onboard_app.avionics.store import read_state, read_track
from onboard_app.web.services import services

blueprint = Blueprint("flightinfo", __name__, url_prefix="/api/v1/flightinfo")


@blueprint.get("")
def flight() -> ResponseReturnValue:
    """The flight now; fields that are not known are null, and the phase is then `unknown`."""
    response = jsonify(dict(read_state(services().store)))
    # A cabin full of phones asks the same question: once a second is enough for all of them.
    response.headers["Cache-Control"] = "public, max-age=1"
    return response


@blueprint.get("/track")
def track() -> ResponseReturnValue:
    """The track flown since take-off, as [latitude, longitude] about every two miles."""
    response = jsonify({"track": read_track(services().store)})
    response.headers["Cache-Control"] = "public, max-age=10"
    return response
