"""The tower's side of the hangar: what aircraft post. nginx serves it on the tower address only."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Flask, Response, jsonify, request

from hangar_app import heartbeat
from hangar_app.context import hangar
from hangar_app.csrf import csrf
from sync import backfill, state

blueprint = Blueprint("tower", __name__, url_prefix="/tower/v1")


def init_app(app: Flask) -> None:
    """Adds the tower's routes; no browser comes here, so there is no form to forge."""
    csrf.exempt(blueprint)
    app.register_blueprint(blueprint)


@blueprint.post("/heartbeat")
def post_heartbeat() -> Response:
    """Takes a heartbeat, answers what is due, and wakes the workers for it."""
    here = hangar()
    # One byte more than is taken: enough to know that it is too long.
    raw = request.stream.read(heartbeat.BODY_LIMIT + 1)
    streams = heartbeat.Streams(
        due=partial(state.due, here.engine, here.settings),
        acks=partial(state.acks, here.engine),
        needs=partial(backfill.asked_of, here.engine),
    )
    reply, jobs = heartbeat.receive(
        here.session(), request.headers.get("X-Real-IP"), raw, streams, here.clock()
    )
    for job in jobs:
        here.enqueue(job)
    return jsonify(reply)


@blueprint.errorhandler(heartbeat.Refused)
def refused(error: heartbeat.Refused) -> tuple[Response, int]:
    """A refusal is a sentence that the aircraft writes into its log."""
    return jsonify({"error": {"code": "refused", "message": str(error)}}), error.status
