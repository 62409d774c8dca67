"""Routing of users and tokens."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from common import consents
from common.schema import CONSENTS
from common.users import EmailTaken
from onboard_app.users import accounts
from onboard_app.web import identity
from onboard_app.web.errors import Refused, missing
from onboard_app.web.input import body
from onboard_app.web.services import services, session

blueprint = Blueprint("users", __name__, url_prefix="/api/v1")


@blueprint.post("/users")
def add() -> ResponseReturnValue:
    """Registers a passenger."""
    entry = register(body(accounts.Registration))
    return jsonify(id=str(entry.user_id), token=entry.token), 201


@blueprint.post("/tokens")
def log_in() -> ResponseReturnValue:
    """Logs a passenger in."""
    return jsonify(token=enter(body(accounts.Credentials)).token), 201


@blueprint.get("/users/me")
def me() -> ResponseReturnValue:
    """Who the token belongs to."""
    user = identity.required()
    response = jsonify(id=str(user.id), email=user.email, name=user.name, language=user.language)
    response.headers["Cache-Control"] = "private, no-store"
    return response


@blueprint.post("/users/me/erase")
def erase() -> ResponseReturnValue:
    """Forgets the passenger: here at once, everywhere after landing."""
    here, farewell = services(), body(accounts.Farewell)
    try:
        accounts.erase(session(), identity.required(), farewell, here.settings.node, here.clock)
    except accounts.WrongPassword:
        raise Refused(401, "wrong_password", "The password is not right.") from None
    session().commit()
    return "", 204


@blueprint.get("/users/me/consents")
def agreed() -> ResponseReturnValue:
    """What the passenger agrees to."""
    response = jsonify(consents.held(session(), identity.required().id))
    response.headers["Cache-Control"] = "private, no-store"
    return response


@blueprint.put("/users/me/consents/<purpose>")
def agree(purpose: str) -> ResponseReturnValue:
    """Gives or withdraws a consent."""
    here, user, said = services(), identity.required(), body(accounts.Consent)
    if purpose not in CONSENTS:
        raise missing("consent")
    consents.state(session(), user.id, purpose, said.given, here.settings.node, here.clock)
    session().commit()
    return jsonify(consents.held(session(), user.id))


def register(who: accounts.Registration) -> accounts.Entry:
    """Makes the account; the portal's form ends here too.

    Raises:
        Refused: 409, the address is taken.
    """
    here = services()
    try:
        entry = accounts.register(session(), who, here.settings.node, here.clock)
    except EmailTaken:
        raise Refused(
            409, "email_taken", "This address is registered already. Log in instead."
        ) from None
    session().commit()
    return entry


def enter(who: accounts.Credentials) -> accounts.Entry:
    """Logs in; the portal's form ends here too.

    Raises:
        Refused: 401.
    """
    here = services()
    try:
        entry = accounts.log_in(session(), who, here.settings.node, here.clock)
    except accounts.WrongPassword:
        raise Refused(401, "wrong_password", "The address or the password is not right.") from None
    session().commit()
    return entry
