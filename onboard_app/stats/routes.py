"""Routing of usage events."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from flask import Blueprint
from flask.typing import ResponseReturnValue
from pydantic import AwareDatetime, Field, JsonValue

from onboard_app.avionics.store import read_state
from onboard_app.stats.events import Event, record
from onboard_app.web import identity
from onboard_app.web.input import Body, body
from onboard_app.web.services import services, session

blueprint = Blueprint("stats", __name__, url_prefix="/api/v1/stats")

LARGEST_EVENT = 4096


class NewEvent(Body):
    """One event as a device tells it."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,31}$")]
    item_id: UUID | None = None
    at: AwareDatetime | None = None
    data: Annotated[dict[str, JsonValue], Field(max_length=32)] = {}  # noqa: RUF012


@blueprint.post("")
def add() -> ResponseReturnValue:
    """Keeps an event; it is on its way up once this answers."""
    told = body(NewEvent, LARGEST_EVENT)
    here = services()
    event = Event(told.kind, told.item_id, identity.user_id(), told.at, told.data)
    flight = read_state(here.store)["flight"]
    record(session(), event, here.settings.node, flight, here.clock())
    session().commit()
    return "", 202
