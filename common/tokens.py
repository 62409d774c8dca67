"""Tokens: 256 random bits shown once to their owner; the database keeps their SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from common.schema import Token

__all__ = ["LIFETIME", "issue", "lookup"]

LIFETIME = timedelta(days=30)
_SEEN_EVERY = timedelta(minutes=5)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def issue(session: Session, user_id: UUID, clock: Callable[[], datetime]) -> str:
    """Make a token for a user and return it; it cannot be read back later.

    >>> issue(session, user_id, clock)  # doctest: +SKIP
    'bX5…'
    """
    token = secrets.token_urlsafe(32)
    now = clock()
    session.add(Token(hash=_hash(token), user_id=user_id, created_at=now, last_seen=now))
    session.flush()
    return token


def lookup(session: Session, token: str, clock: Callable[[], datetime]) -> UUID | None:
    """Return whose token this is, or None when it is unknown or was not used for `LIFETIME`."""
    row = session.get(Token, _hash(token))
    now = clock()
    if row is None or now - row.last_seen > LIFETIME:
        return None
    # Every request reads a token; writing at each of them would make the disk the limit.
    if now - row.last_seen > _SEEN_EVERY:
        row.last_seen = now
    return row.user_id
