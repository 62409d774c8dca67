"""What the rest of the box may know about the flight, as one JSON object."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from onboard_app.avionics.phase import Facts, Phase
from onboard_app.avionics.state import State

TRACK_STEP_NM = 2.0
TRACK_LONGEST = 2000

Track = tuple[tuple[float, float], ...]


def facts(state: State, now: float) -> Facts:
    """What the phase is judged by."""
    return Facts(
        at=now,
        on_ground=state.on_ground(now),
        ground_speed_kt=state.number("ground_speed", now),
        altitude_ft=state.number("altitude", now),
    )


def position(state: State, now: float) -> tuple[float, float] | None:
    """Latitude and longitude in degrees; None unless both count."""
    lat, lon = state.number("latitude", now), state.number("longitude", now)
    if lat is None or lon is None or abs(lat) > 90:
        return None
    return lat, lon


def snapshot(state: State, phase: Phase, now: float, at: datetime) -> dict[str, Any]:
    """The flight at one moment.

    Args:
        now: monotonic seconds, by which readings grow old.
        at: the wall clock, which is only written down.
    """
    here = position(state, now)
    discretes = state.discretes(now)
    return {
        "at": at.isoformat(timespec="milliseconds"),
        "phase": phase.value,
        "position": None if here is None else {"lat": round(here[0], 5), "lon": round(here[1], 5)},
        "altitude_ft": _rounded(state.number("altitude", now), 0),
        "ground_speed_kt": _rounded(state.number("ground_speed", now), 1),
        "heading_deg": _rounded(state.number("heading", now), 1),
        "mach": _rounded(state.number("mach", now), 3),
        "outside_temperature_c": _rounded(state.number("outside_temperature", now), 1),
        "pitch_deg": _rounded(state.number("pitch", now), 1),
        "roll_deg": _rounded(state.number("roll", now), 1),
        "wind_speed_kt": _rounded(state.number("wind_speed", now), 0),
        "wind_direction_deg": _rounded(state.number("wind_direction", now), 0),
        "flight": state.flight(now),
        "valid": state.valid(now),
        "discretes": None if discretes is None else dict(discretes),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def extend_track(track: Track, now: Phase, here: tuple[float, float] | None) -> Track:
    """The track flown so far, a point every two miles.

    It stays after landing, so that the page at the gate still shows the flight.
    """
    if here is None or now is Phase.GROUND:
        return track
    point = (round(here[0], 3), round(here[1], 3))
    if track and _miles(track[-1], point) < TRACK_STEP_NM:
        return track
    return (*track, point)[-TRACK_LONGEST:]


def _miles(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Nautical miles between near points: a minute of latitude is one."""
    north = (b[0] - a[0]) * 60
    east = ((b[1] - a[1] + 180) % 360 - 180) * 60 * math.cos(math.radians(a[0]))
    return math.hypot(north, east)
