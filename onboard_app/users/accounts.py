"""Registering and logging in, without HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field
from sqlalchemy import delete
from sqlalchemy.orm import Session

from common import tokens, users
from common.schema import Token
from onboard_app.web.input import LANGUAGE, PRINTABLE, Body


class WrongPassword(Exception):
    """No such address, or not its password; which of the two is not said."""


def _printable(text: str) -> str:
    if not PRINTABLE.fullmatch(text):
        raise ValueError("has characters that cannot be printed")
    return text


Printable = AfterValidator(_printable)
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]{1,64}@[^@\s]+\.[^@\s]+$"), Printable]
# Long passwords are fine, endless ones only keep the processor busy. Blanks at the ends are cut off
# by `Body` at both doors alike.
Password = Annotated[str, Field(min_length=8, max_length=200)]


class Registration(Body):
    """A new passenger."""

    email: Email
    name: Annotated[str, Field(min_length=1, max_length=100), Printable]
    language: Annotated[str, Field(pattern=LANGUAGE)] = "en"
    password: Password


class Credentials(Body):
    """Somebody who says they are known here."""

    email: Annotated[str, Field(max_length=254), Printable]
    password: Annotated[str, Field(max_length=200)]


class Consent(Body):
    """Whether somebody agrees."""

    given: bool


class Farewell(Body):
    """The wish to be forgotten, from somebody who knows the password: a token may have been left open."""

    password: Annotated[str, Field(max_length=200)]


@dataclass(frozen=True)
class Entry:
    """A user who is in, and the token that says so."""

    user_id: UUID
    token: str


def register(
    session: Session, who: Registration, aircraft: str, clock: Callable[[], datetime]
) -> Entry:
    """Makes the account and a token; the caller commits.

    Raises:
        EmailTaken: this aircraft knows the address already.
    """
    user_id = users.register(
        session, who.email, who.name, who.language, who.password, aircraft, clock
    )
    return Entry(user_id, tokens.issue(session, user_id, clock))


def log_in(
    session: Session, who: Credentials, aircraft: str, clock: Callable[[], datetime]
) -> Entry:
    """Makes a token for a user who knows the password; the caller commits.

    Raises:
        WrongPassword: also when there is no such user, and after the same time.
    """
    user = users.log_in(session, who.email, who.password, aircraft, clock)
    if user is None:
        raise WrongPassword
    return Entry(user.id, tokens.issue(session, user.id, clock))


def log_out(session: Session, token: str) -> None:
    """Ends a token; the caller commits."""
    session.execute(delete(Token).where(Token.hash == hashlib.sha256(token.encode()).digest()))


def erase(
    session: Session,
    user: users.User,
    farewell: Farewell,
    aircraft: str,
    clock: Callable[[], datetime],
) -> None:
    """Lets a user be forgotten; the caller commits.

    Raises:
        WrongPassword: of none of the user's accounts.
    """
    if not users.opens(session, user.id, farewell.password):
        raise WrongPassword
    users.erase(session, user.id, aircraft, clock)
