"""Tokens: 256 random bits shown once to their owner; the database keeps their SHA-256.

A token ends with the password it was issued for, wherever that was changed, and with the account.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from common.schema import Token

__all__ = ["LIFETIME", "issue", "lookup"]

LIFETIME = timedelta(days=30)
_SEEN_EVERY = timedelta(minutes=5)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


_PERSON = text(
    "select canonical, sha256(convert_to(password_hash, 'UTF8')) as secret "
    "from effective_user where id = :id"
)


def issue(session: Session, user_id: UUID, clock: Callable[[], datetime]) -> str:
    """Make a token for a user and return it; it cannot be read back later.

    >>> issue(session, user_id, clock)  # doctest: +SKIP
    'bX5…'
    """
    token = secrets.token_urlsafe(32)
    now = clock()
    secret = bytes(session.execute(_PERSON, {"id": user_id}).one().secret)
    session.add(
        Token(hash=_hash(token), user_id=user_id, secret=secret, created_at=now, last_seen=now)
    )
    session.flush()
    return token


def lookup(session: Session, token: str, clock: Callable[[], datetime]) -> UUID | None:
    """Return the canonical id of whose token this is.

    None when it is unknown, has ended, or was not used for `LIFETIME`.
    """
    row = session.get(Token, _hash(token))
    now = clock()
    if row is None or now - row.last_seen > LIFETIME:
        return None
    person = session.execute(_PERSON, {"id": row.user_id}).one_or_none()
    # One that an older release issued ends with the password of its next use.
    if person is None or row.secret not in (None, bytes(person.secret)):
        return None
    # Every request reads a token; writing at each of them would make the disk the limit.
    if row.secret is None or now - row.last_seen > _SEEN_EVERY:
        row.last_seen, row.secret = now, bytes(person.secret)
    canonical: UUID = person.canonical
    return canonical
