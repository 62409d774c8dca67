"""What the portal's forms send: the same checks as the API, the answer as a page or a redirect."""

from __future__ import annotations

import re

from flask import redirect, request
from werkzeug.wrappers import Response

from onboard_app.users import accounts, routes
from onboard_app.web import identity
from onboard_app.web.errors import Refused
from onboard_app.web.input import checked

THIRTY_DAYS_S = 30 * 24 * 3600
# A path of this site: one slash, then none that would begin a host's name.
OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]{0,200}")


def came_from() -> str:
    """Where to go after the form: the page it was opened from, if that is ours."""
    wanted = request.values.get("next", "/")
    return wanted if OWN_PATH.fullmatch(wanted) else "/"


def join() -> accounts.Entry:
    """Registers or logs in, whichever the form says.

    Raises:
        Refused: what was typed is not right.
    """
    sent = {name: value for name, value in request.form.items() if name not in ("next", "do")}
    if request.form.get("do") == "log_in":
        return routes.enter(checked(accounts.Credentials, sent))
    return routes.register(checked(accounts.Registration, sent))


def with_token(token: str) -> Response:
    """Goes on to where the passenger came from, with the token in a cookie scripts cannot read."""
    response = redirect(came_from(), 303)
    response.set_cookie(
        identity.COOKIE,
        token,
        max_age=THIRTY_DAYS_S,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response


def choice() -> int:
    """The choice of a survey's form.

    Raises:
        Refused: 422, none was made.
    """
    text = request.form.get("choice", "")
    if not re.fullmatch(r"\d{1,3}", text):
        raise Refused(422, "no_choice", "Choose one of the answers first.")
    return int(text)
