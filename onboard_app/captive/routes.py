"""Routing of what phones ask, and of the page that their sign-in sheet shows."""

from __future__ import annotations

import json

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from onboard_app.captive import phones
from onboard_app.captive.phones import PROBES
from onboard_app.web.services import services

blueprint = Blueprint("captive", __name__)


@blueprint.after_request
def new_each_time(response: Response) -> Response:
    """What a phone is told holds for that phone and this moment."""
    response.headers["Cache-Control"] = "private, no-store"
    return response


@blueprint.get("/captive")
def welcome() -> str:
    """The page that the sheet shows; its button is what the phone waits for."""
    return render_template("captive.html", portal=services().settings.portal_url)


@blueprint.post("/captive")
def pressed() -> ResponseReturnValue:
    """Remembers the phone and goes on to the portal."""
    phones.saw(services().store, _phone())
    return redirect("/", 303)


@blueprint.get("/captive/api")
def api() -> Response:
    """The answer of RFC 8908, section 5."""
    portal = services().settings.portal_url
    said = {
        "captive": not phones.has_seen(services().store, _phone()),
        "user-portal-url": f"{portal}/captive",
        "venue-info-url": f"{portal}/",
    }
    return Response(json.dumps(said), mimetype="application/captive+json")


def probe() -> ResponseReturnValue:
    """What a phone expects where the internet is; before its owner was here, the way to the portal."""
    here = services()
    if not phones.has_seen(here.store, _phone()):
        return redirect(f"{here.settings.portal_url}/captive", 302)
    asked = next(each for each in PROBES if each.path == request.path)
    return Response(asked.body, asked.status, mimetype=asked.mimetype)


def _phone() -> str:
    """The phone's address, as nginx saw it."""
    return request.headers.get("X-Real-IP", "")


for each in PROBES:
    blueprint.add_url_rule(each.path, view_func=probe)
