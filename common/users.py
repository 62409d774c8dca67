"""Passengers' accounts: edits are events that go up, what is read is canonical plus own edits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from common import hlc
from common.schema import USER_FIELDS, UserEvent
from common.uuid7 import uuid7

__all__ = ["EmailTaken", "User", "edit", "find", "get", "register", "verify_password"]


class EmailTaken(Exception):
    """Somebody has registered this address already, as far as this host knows."""


@dataclass(frozen=True)
class User:
    """A user as this host sees them now."""

    id: UUID
    email: str
    name: str
    language: str
    password_hash: str
    version: int

    def __repr__(self) -> str:
        return f"User({self.id}, {self.email!r})"


_READ = (
    "select id, email, name, language, password_hash, version from effective_user where id = :id"
)
_CANDIDATES = text(
    "select id from app_user where lower(email) = :email union "
    "select user_id from user_event where field = 'email' and lower(value #>> '{}') = :email "
    "order by 1"
)


def register(
    session: Session,
    email: str,
    name: str,
    language: str,
    password: str,
    aircraft: str,
    clock: Callable[[], datetime],
) -> UUID:
    """Write a new user's events and return the user's id.

    Arguments: `clock` returns the time with its zone; `aircraft` is this host's name. Raises
    `EmailTaken` when this host knows the address. Two aircraft may still register one address while
    both are off-line; the hangar settles that.

    >>> register(session, "ada@example.org", "Ada", "en", password, "EC-TAA", clock)
    ... # doctest: +SKIP
    UUID('0193…')
    """
    email = email.strip().lower()
    # One registration of an address at a time: the check and the write are one step.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(email, 0))))
    if find(session, email) is not None:
        raise EmailTaken(f"{email} is registered already; log in instead")
    user_id = uuid7()
    changes = {
        "email": email,
        "name": name,
        "language": language,
        "password_hash": _hashed(password),
    }
    edit(session, user_id, changes, aircraft, clock)
    return user_id


def edit(
    session: Session,
    user_id: UUID,
    changes: Mapping[str, str],
    aircraft: str,
    clock: Callable[[], datetime],
) -> None:
    """Set fields of a user; later than every edit of that user known here, whatever the clock says.

    Raises `ValueError` for a field that users do not have.
    """
    unknown = set(changes) - set(USER_FIELDS)
    if unknown:
        raise ValueError(f"a user has no {', '.join(sorted(unknown))}; {USER_FIELDS} are")
    now = clock()
    last = session.scalar(select(func.max(UserEvent.hlc)).where(UserEvent.user_id == user_id))
    settled = session.scalar(
        text(
            "select max((won.value ->> 0)::bigint) from app_user, jsonb_each(clocks) won "
            "where app_user.id = :id"
        ),
        {"id": user_id},
    )
    reading = hlc.tick(max(last or 0, settled or 0), now)
    session.add_all(
        UserEvent(user_id=user_id, field=field, value=value, hlc=reading, aircraft=aircraft, at=now)
        for field, value in changes.items()
    )
    session.flush()


def get(session: Session, user_id: UUID) -> User | None:
    """Return the effective user, or None when this host knows no such id."""
    row = session.execute(text(_READ), {"id": user_id}).one_or_none()
    return None if row is None else User(*row)


def find(session: Session, email: str) -> User | None:
    """Return the effective user with this address (any case); the older one when there are two."""
    email = email.strip().lower()
    for user_id in session.scalars(_CANDIDATES, {"email": email}):
        user = get(session, user_id)
        if user is not None and user.email.lower() == email:
            return user
    return None


def verify_password(user: User | None, password: str) -> bool:
    """Say whether the password is the user's; takes as long for a user that does not exist."""
    if user is None or not user.password_hash:
        _matches(_NOBODY, password)
        return False
    return _matches(user.password_hash, password)


# The hash of nothing anybody can type: it only makes a wrong address as slow as a wrong password.
_NOBODY = "scrypt:32768:8:1$nobody$" + "0" * 128
# Each hash takes 32 MiB while it is made. A cabin that logs in at once would need more than the process
# may have, so whoever comes third waits: it is a tenth of a second.
_HASHING = threading.BoundedSemaphore(2)


def _hashed(password: str) -> str:
    with _HASHING:
        return generate_password_hash(password, method="scrypt")


def _matches(password_hash: str, password: str) -> bool:
    with _HASHING:
        return check_password_hash(password_hash, password)
