"""A passenger's account aboard: canonical row plus the edits the hangar has not seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from common import hlc, tokens, users
from common.database import session
from common.schema import AppUser, Token, UserEvent

pytestmark = pytest.mark.postgres
Clock = Callable[[], datetime]


def register(database: Session, clock: Clock, email: str = "Ada@Example.org ") -> UUID:
    return users.register(database, email, "Ada", "en", "correct horse", "EC-TAA", clock)


def settled(user_id: UUID, reading: int, aircraft: str, **fields: str) -> AppUser:
    clocks = {name: [reading, aircraft] for name in fields}
    return AppUser(id=user_id, version=1, clocks=clocks, **fields)


def test_a_registered_user_is_known_at_once_by_address_in_any_case(
    engine: Engine, clock: Clock
) -> None:
    with session(engine) as database:
        user_id = register(database, clock)
    with session(engine) as database:
        user = users.find(database, "ADA@example.org")
        assert user is not None
        assert (user.id, user.email, user.version) == (user_id, "ada@example.org", 0)
        assert users.log_in(database, user.email, "correct horse", "EC-TAA", clock) == user
        assert users.log_in(database, user.email, "wrong", "EC-TAA", clock) is None
        assert users.log_in(database, "x@example.org", "correct horse", "EC-TAA", clock) is None
        assert "scrypt" not in repr(user)


def test_two_passwords_are_hashed_at_a_time_however_many_passengers_come(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hash takes 32 MiB, and a process that has eight threads may not have that eight times."""
    begun, go, seen = threading.Semaphore(0), threading.Event(), []

    def check(stored: str, password: str) -> bool:
        begun.release()
        return go.wait(5)

    def make(password: str, method: str) -> str:
        others = [
            threading.Thread(target=users.matches, args=("scrypt:", password)) for _ in range(2)
        ]
        for other in others:
            other.start()
        seen.extend([begun.acquire(timeout=5), begun.acquire(timeout=0.05)])
        go.set()
        for other in others:
            other.join()
        return "scrypt:"

    monkeypatch.setattr(users, "check_password_hash", check)
    monkeypatch.setattr(users, "generate_password_hash", make)
    with session(engine) as database:
        register(database, clock)
    assert seen == [True, False], "one beside the one that registers, and no more"


def test_an_address_is_registered_once(engine: Engine, clock: Clock) -> None:
    with session(engine) as database:
        register(database, clock)
    with session(engine) as database, pytest.raises(users.EmailTaken, match="log in instead"):
        register(database, clock, "ada@EXAMPLE.org")


def test_an_edit_newer_than_the_canonical_field_is_seen_and_an_older_one_is_not(
    engine: Engine, clock: Clock
) -> None:
    with session(engine) as database:
        user_id = register(database, clock)
        reading = hlc.of(clock())
        newer, older = reading + 10, reading - 10
        database.add(
            AppUser(
                id=user_id,
                email="ada@example.org",
                name="Countess",
                language="fr",
                version=7,
                clocks={"name": [newer, "EC-TAB"], "language": [older, "EC-TAB"]},
            )
        )
    with session(engine) as database:
        user = users.get(database, user_id)
        assert user is not None
        assert (user.name, user.language, user.version) == ("Countess", "en", 7)


def test_a_later_edit_is_later_even_when_the_clock_went_back(engine: Engine, clock: Clock) -> None:
    with session(engine) as database:
        user_id = UUID(int=7)
        database.add(settled(user_id, hlc.of(clock()) + 5_000_000, "EC-TAB", name="Ada"))
    with session(engine) as database:
        users.edit(database, user_id, {"name": "Lovelace"}, "EC-TAA", clock)
        user = users.get(database, user_id)
        assert user is not None
        assert user.name == "Lovelace"


def test_a_user_whose_address_changed_is_not_found_by_the_old_one(
    engine: Engine, clock: Clock
) -> None:
    with session(engine) as database:
        user_id = register(database, clock)
        users.edit(database, user_id, {"email": "new@example.org"}, "EC-TAA", clock)
        assert users.find(database, "ada@example.org") is None
        found = users.find(database, "new@example.org")
        assert found is not None
        assert found.id == user_id


def test_a_field_that_users_do_not_have_is_refused(engine: Engine, clock: Clock) -> None:
    with session(engine) as database, pytest.raises(ValueError, match="a user has no rank"):
        users.edit(database, UUID(int=1), {"rank": "admiral"}, "EC-TAA", clock)
    with session(engine) as database:
        assert database.scalars(select(UserEvent)).all() == []


def test_a_token_is_kept_as_its_hash_and_expires_when_unused(engine: Engine, clock: Clock) -> None:
    with session(engine) as database:
        ada = register(database, clock)
        token = tokens.issue(database, ada, clock)
    with session(engine) as database:
        assert tokens.lookup(database, token, clock) == ada
        assert tokens.lookup(database, token + "x", clock) is None
        stored = database.scalars(select(Token)).one()
        assert token.encode() not in stored.hash
        clock.advance(days=31)  # type: ignore[attr-defined]
        assert tokens.lookup(database, token, clock) is None


def test_reading_one_user_uses_the_indexes(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("set enable_seqscan = off"))
        plan = connection.scalars(
            text("explain select * from effective_user where id = '" + str(UUID(int=1)) + "'")
        ).all()
    assert not any("Seq Scan" in line for line in plan), "\n".join(plan)
