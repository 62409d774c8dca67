"""Passengers' accounts: edits are events that go up, what is read is canonical plus own edits.

Nobody has shown that an address is theirs: aboard there is no mail. So two accounts with one address are
two people's until one password opens both; each password opens its own account until then. A token
proves nothing: somebody may have left it in a browser that others use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import cast, delete, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from common import hlc
from common.schema import SHARED_FIELDS, USER_FIELDS, Token, UserEvent
from common.uuid7 import uuid7

__all__ = [
    "EmailTaken",
    "User",
    "accounts",
    "edit",
    "erase",
    "find",
    "get",
    "lock",
    "log_in",
    "matches",
    "opens",
    "register",
    "say",
]

# Each costs a tenth of a second; whoever registers an address aboard as many aircraft before its owner
# does can keep that owner out, and gains nothing else.
MOST_PASSWORDS = 10


class EmailTaken(Exception):
    """Somebody has registered this address already, as far as this host knows."""


@dataclass(frozen=True)
class User:
    """A user as this host sees them now; `id` is the canonical one of the person's accounts."""

    id: UUID
    email: str
    name: str
    language: str
    password_hash: str
    version: int

    def __repr__(self) -> str:
        return f"User({self.id}, {self.email!r})"


_READ = text(
    "select canonical, email, name, language, password_hash, version "
    "from effective_user where id = :id"
)
_ACCOUNTS = text(
    "with person as (select coalesce((select canonical from user_alias where id = :id), "
    "cast(:id as uuid)) as id) select id from person "
    "union all select a.id from user_alias a join person on a.canonical = person.id"
)
_LAST_READING = text(
    "select greatest(0, (select max(coalesce(clamp.reading, event.hlc)) from user_event event "
    "left join user_clamp clamp on clamp.id = event.id where event.user_id = any(:accounts) "
    "and event.field = any(:fields)), "
    "(select max((won.value ->> 0)::bigint) from app_user, jsonb_each(clocks) won "
    "where app_user.id = any(:accounts)))"
)
_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:what, 0))")
_PASSWORDS = text(
    "select password_hash from effective_user where id = any(:accounts) and password_hash <> ''"
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
    session.execute(_LOCK, {"what": email})
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
    # Two edits at once would have one reading.
    lock(session, user_id)
    own = accounts(session, user_id)
    now = clock()
    # Fields alone: what no clock orders nobody clamps, and one clock that was ahead would count for years.
    known = {"accounts": own, "fields": list(USER_FIELDS)}
    reading = hlc.tick(session.execute(_LAST_READING, known).scalar_one(), now)
    for field, value in changes.items():
        # A new password is that of every account of the person, or the old one would still open some.
        for account in own if field not in SHARED_FIELDS else own[:1]:
            say(session, account, field, value, aircraft, now, reading)
    session.flush()


def lock(session: Session, user_id: UUID) -> None:
    """Wait until nobody else says anything of this user; until the transaction ends."""
    session.execute(_LOCK, {"what": str(user_id)})


def say(
    session: Session,
    user_id: UUID,
    field: str,
    value: object,
    aircraft: str,
    now: datetime,
    reading: int | None = None,
) -> None:
    """Add an event (`common.schema.user_event`); one that is ordered by no clock needs no `reading`."""
    reading = hlc.of(now) if reading is None else reading
    session.add(
        UserEvent(user_id=user_id, field=field, value=value, hlc=reading, aircraft=aircraft, at=now)
    )


def accounts(session: Session, user_id: UUID) -> list[UUID]:
    """Return the ids of all accounts of one person, the canonical one first."""
    return list(session.scalars(_ACCOUNTS, {"id": user_id}))


def erase(session: Session, user_id: UUID, aircraft: str, clock: Callable[[], datetime]) -> None:
    """Let a user be forgotten: gone here at once, everywhere when the hangar has settled it."""
    own = accounts(session, user_id)
    say(session, own[0], "erase", "", aircraft, clock())
    session.execute(delete(Token).where(Token.user_id.in_(own)))
    session.flush()


def get(session: Session, user_id: UUID) -> User | None:
    """Return the effective user, or None when this host knows no such id, or was told to forget it."""
    row = session.execute(_READ, {"id": user_id}).one_or_none()
    return None if row is None else User(*row)


def find(session: Session, email: str) -> User | None:
    """Return the effective user with this address (any case); the oldest when there are several."""
    return next(_people(session, email), None)


def _people(session: Session, email: str) -> Iterator[User]:
    email, seen = email.strip().lower(), set()
    for user_id in session.scalars(_CANDIDATES, {"email": email}).all():
        user = get(session, user_id)
        if user is not None and user.email.lower() == email and user.id not in seen:
            seen.add(user.id)
            yield user


def log_in(
    session: Session,
    email: str,
    password: str,
    aircraft: str,
    clock: Callable[[], datetime],
) -> User | None:
    """Return the user whom address and password open, the oldest when there are several, or None.

    Accounts that one address and password open are one person's, and the hangar is told so. It takes
    as long for an address that nobody has.
    """
    tried, opened, people = 0, [], list(_people(session, email))
    for user in people:
        hashes = _hashes(session, user.id)[: MOST_PASSWORDS - tried]
        tried += len(hashes)
        # All of them, and not only until one fits: it is looked for two.
        if any([matches(stored, password) for stored in hashes]):
            opened.append(user)
    if not tried:
        matches(_NOBODY, password)
    for other in opened[1:]:
        _say_same(session, other.id, opened[0].id, aircraft, clock())
    return opened[0] if opened else None


def opens(session: Session, user_id: UUID, password: str) -> bool:
    """Say whether the password is one of the user's."""
    return any(matches(stored, password) for stored in _hashes(session, user_id))


def _hashes(session: Session, user_id: UUID) -> list[str]:
    return list(session.scalars(_PASSWORDS, {"accounts": accounts(session, user_id)}))


def _say_same(
    session: Session, user_id: UUID, canonical: UUID, aircraft: str, now: datetime
) -> None:
    said = select(UserEvent.id).where(
        UserEvent.user_id == user_id,
        UserEvent.field == "same",
        UserEvent.value == cast(str(canonical), JSONB),
    )
    if session.scalar(said.limit(1)) is None:
        say(session, user_id, "same", str(canonical), aircraft, now)
        session.flush()


# The hash of nothing anybody can type: it only makes a wrong address as slow as a wrong password.
_NOBODY = "scrypt:32768:8:1$nobody$" + "0" * 128
# Each hash takes 32 MiB while it is made. A cabin that logs in at once would need more than the process
# may have, so whoever comes third waits: it is a tenth of a second.
_HASHING = threading.BoundedSemaphore(2)


def _hashed(password: str) -> str:
    with _HASHING:
        return generate_password_hash(password, method="scrypt")


def matches(password_hash: str, password: str) -> bool:
    """Say whether the hash was made of the password."""
    with _HASHING:
        return check_password_hash(password_hash, password)
