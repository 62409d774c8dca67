"""Routing of the catalogue."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from onboard_app.content import catalogue
from onboard_app.content.catalogue import Wanted
from onboard_app.web import language
from onboard_app.web.errors import missing
from onboard_app.web.input import LANGUAGE, PRINTABLE, argument, code, key
from onboard_app.web.services import services, session

blueprint = Blueprint("content", __name__, url_prefix="/api/v1/content")

# The catalogue changes when the aircraft synchronises or an offer begins or ends: nginx may answer
# for some seconds, per address and language.
CACHED = "public, max-age=5"


@blueprint.get("")
def items() -> ResponseReturnValue:
    """What is on: ?kind= &language= &destination= &airline= &q="""
    here = services()
    wanted = Wanted(
        airline=code("airline") or here.settings.airline,
        kind=argument("kind", "film|newspaper"),
        language=argument("language", LANGUAGE),
        destination=code("destination"),
        text=argument("q", PRINTABLE.pattern, longest=80),
    )
    found = catalogue.offers(
        session(), here.library.complete(), wanted, language.preferred(), here.clock()
    )
    return _cached(jsonify(items=[offer.json() for offer in found]))


@blueprint.get("/<item_id>")
def item(item_id: str) -> ResponseReturnValue:
    """One item, with the addresses of its files: ?airline="""
    here = services()
    found = catalogue.offer(
        session(),
        here.library.complete(),
        key(item_id),
        code("airline") or here.settings.airline,
        language.preferred(),
        here.clock(),
    )
    if found is None:
        raise missing("item")
    return _cached(jsonify(found.json()))


def _cached(response: Response) -> Response:
    response.headers["Cache-Control"] = CACHED
    response.headers["Vary"] = "Accept-Language"
    return response
