"""The fleet page: who is where, on which release, how far behind, and what is being done about it."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Flask, Response, jsonify, render_template

from hangar_app import campaign_seen, fleet_state
from hangar_app.context import hangar
from hangar_app.work import HANGAR

blueprint = Blueprint("fleet", __name__)


def init_app(app: Flask) -> None:
    """Adds the fleet page and its JSON."""
    app.register_blueprint(blueprint)


@blueprint.get("/")
def page() -> str:
    """The page; it is whole without JavaScript, and the script only fetches it again."""
    here = hangar()
    now = here.clock()
    return render_template(
        "fleet.html",
        fleet=fleet_state.fleet(here.session(), now),
        campaigns=campaign_seen.at_work(here.session(), now),
        own_work=fleet_state.recent_work(here.session(), now).get(HANGAR, []),
        now=now,
    )


@blueprint.get("/fleet.json")
def as_json() -> Response:
    """The same as the page, for programs."""
    here = hangar()
    now = here.clock()
    rows = [asdict(one) for one in fleet_state.fleet(here.session(), now)]
    return jsonify(now=now.isoformat(), aircraft=rows)
