"""Routing of the flight's state."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from onboard_app.avionics.store import read_state, read_track
from onboard_app.web.services import services

blueprint = Blueprint("flightinfo", __name__, url_prefix="/api/v1/flightinfo")

# What passengers may know: how the aircraft flies. The box's own signals are not for them.
PUBLIC = (
    "at",
    "phase",
    "position",
    "altitude_ft",
    "ground_speed_kt",
    "heading_deg",
    "mach",
    "outside_temperature_c",
    "pitch_deg",
    "roll_deg",
    "wind_speed_kt",
    "wind_direction_deg",
    "flight",
)


@blueprint.get("")
def flight() -> ResponseReturnValue:
    """The flight now; fields that are not known are null, and the phase is then `unknown`."""
    state = read_state(services().store)
    response = jsonify({name: state[name] for name in PUBLIC})
    # A cabin full of phones asks the same question: once a second is enough for all of them.
    response.headers["Cache-Control"] = "public, max-age=1"
    return response


@blueprint.get("/track")
def track() -> ResponseReturnValue:
    """The track flown since take-off, as [latitude, longitude] about every two miles."""
    response = jsonify({"track": read_track(services().store)})
    response.headers["Cache-Control"] = "public, max-age=10"
    return response
