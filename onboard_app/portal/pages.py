"""What the pages show, gathered from the features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from jinja2 import TemplateNotFound

from onboard_app.avionics.store import read_state, read_track
from onboard_app.content import catalogue
from onboard_app.content.catalogue import Offer, Wanted
from onboard_app.flightinfo.map import Drawing, draw
from onboard_app.web import identity, language
from onboard_app.web.bundle import bundle
from onboard_app.web.errors import Refused
from onboard_app.web.input import code
from onboard_app.web.services import services, session

FEET_IN_METRES = 0.3048
KNOTS_IN_KMH = 1.852
POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def everywhere() -> dict[str, Any]:
    """What every template knows: whose aircraft this is, the words, who is logged in."""
    spoken, words = texts()
    return {
        "airline": services().settings.airline_name,
        "lang": spoken,
        "t": words,
        "passenger": identity.user() if request.blueprint == "portal" else None,
        "path": request.path,
    }


def texts() -> tuple[str, Mapping[str, str]]:
    """The portal's words in the best language that the bundle has, and which that is."""
    for name in language.preferred():
        short = name.split("-")[0]
        try:
            return short, bundle().texts(short)
        except TemplateNotFound:
            continue
    return "en", bundle().texts("en")


def flight() -> dict[str, Any]:
    """Where we are, in the units people know and those the crew speaks."""
    state = read_state(services().store)
    altitude, speed = state["altitude_ft"], state["ground_speed_kt"]
    heading = state["heading_deg"]
    return {
        "phase": state["phase"],
        "flight": state["flight"],
        "altitude_m": None if altitude is None else round(altitude * FEET_IN_METRES, -1),
        "altitude_ft": None if altitude is None else round(altitude, -2),
        "speed_kmh": None if speed is None else round(speed * KNOTS_IN_KMH),
        "speed_kt": None if speed is None else round(speed),
        "heading": None if heading is None else round(heading) % 360,
        "compass": None if heading is None else POINTS[round(heading / 45) % 8],
        "temperature": state["outside_temperature_c"],
    }


def grouped(number: float) -> str:
    """A whole number with its thousands apart.

    >>> grouped(35000.0)
    '35\\xa0000'
    """
    return f"{number:,.0f}".replace(",", "\u00a0").replace("-", "\u2212")


def map_drawing() -> Drawing | None:
    """The map, or None when there is nothing to show on it."""
    store = services().store
    state = read_state(store)
    place = state["position"]
    here = (place["lat"], place["lon"]) if place else None
    return draw(here, state["heading_deg"], read_track(store))


def offers() -> dict[str, list[Offer]]:
    """What is on, by kind: ?destination="""
    here = services()
    found = catalogue.offers(
        session(),
        here.library.complete(),
        Wanted(airline=here.settings.airline, destination=code("destination")),
        language.preferred(),
        here.clock(),
    )
    shelves: dict[str, list[Offer]] = {kind: [] for kind in catalogue.PAGES}
    for offer in found:
        shelves[offer.kind].append(offer)
    return shelves


def offer(kind: str, item_id: Any) -> Offer | None:
    """One item of a kind, or None."""
    here = services()
    found = catalogue.offer(
        session(),
        here.library.complete(),
        item_id,
        here.settings.airline,
        language.preferred(),
        here.clock(),
    )
    return found if found and found.kind == kind else None


def told(error: Refused) -> str:
    """An error in the passenger's language, if the bundle knows it."""
    return texts()[1].get(f"error_{error.code}", error.message)
