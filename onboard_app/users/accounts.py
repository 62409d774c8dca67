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


def log_in(session: Session, who: Credentials, clock: Callable[[], datetime]) -> Entry:
    """Makes a token for a user who knows the password; the caller commits.

    Raises:
        WrongPassword: also when there is no such user, and after the same time.
    """
    user = users.find(session, who.email)
    if not users.verify_password(user, who.password) or user is None:
        raise WrongPassword
    return Entry(user.id, tokens.issue(session, user.id, clock))


def log_out(session: Session, token: str) -> None:
    """Ends a token; the caller commits."""
    session.execute(delete(Token).where(Token.hash == hashlib.sha256(token.encode()).digest()))
