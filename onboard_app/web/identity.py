"""Who is asking: `Authorization: Token …` from apps, the same token in a cookie from the portal."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from flask import g, request

from common import tokens, users
from common.users import User
from onboard_app.web.errors import Refused
from onboard_app.web.services import commit_if_possible, services, session

COOKIE = "turnaround"
LONGEST_TOKEN = 128


def presented() -> str | None:
    """The token that came with the request; the header wins over the cookie."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = token.strip() if scheme.lower() == "token" else request.cookies.get(COOKIE, "")
    return found if 0 < len(found) <= LONGEST_TOKEN else None


def user_id() -> UUID | None:
    """Whose token came with the request; None for everybody else. Looked up once per request."""
    if "user_id" not in g:
        token = presented()
        g.user_id = tokens.lookup(session(), token, services().clock) if token else None
        # When the token was last seen is worth keeping even if the request itself only reads. It is
        # not worth the request.
        commit_if_possible("when a token was last seen")
    return cast("UUID | None", g.user_id)


def user() -> User | None:
    """The user, with their own edits aboard."""
    if "user" not in g:
        found = user_id()
        g.user = users.get(session(), found) if found else None
    return cast("User | None", g.user)


def required() -> User:
    """The user.

    Raises:
        Refused: 401 when nobody is logged in.
    """
    found = user()
    if found is None:
        raise Refused(401, "not_logged_in", "Log in first: Authorization: Token …")
    return found
