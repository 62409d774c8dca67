"""Passengers of a fleet: they register and edit aboard, and the aircraft land one after the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from common import users
from common.database import session
from sync import ack, files, forgotten, seal, state
from sync.apply import apply_all
from sync.users import folds
from tests.sync.ends import End, carry, scalar_list

Clock = Callable[[], datetime]

ADA = "ada@example.org"


class Fleet:
    """A hangar, and aircraft that land one after the other."""

    def __init__(self, hangar: End, aircraft: dict[str, End], clock: Clock) -> None:
        self.hangar, self.aircraft, self.clock = hangar, aircraft, clock

    def push(self, name: str, hangar_clock: Clock | None = None) -> None:
        """What was written aboard comes to the hangar, and is settled there."""
        end = self.aircraft[name]
        seal.seal_all(end.engine, end.settings)
        carry(end, self.hangar)
        done = apply_all(
            self.hangar.engine, self.hangar.settings, name, folds=folds(hangar_clock or self.clock)
        )
        assert done.problems == []

    def acknowledge(self, name: str) -> None:
        end = self.aircraft[name]
        assert ack.accept(end.engine, end.settings, state.acks(self.hangar.engine, name)) == []

    def pull(self, name: str) -> None:
        """What the hangar has settled comes aboard."""
        end = self.aircraft[name]
        seal.seal_all(self.hangar.engine, self.hangar.settings)
        carry(self.hangar, end)
        assert apply_all(end.engine, end.settings, files.HANGAR).problems == []
        forgotten.sweep(end.engine)

    def land(self, *names: str) -> None:
        for name in names:
            self.push(name)
            self.acknowledge(name)
            self.pull(name)

    def aboard(self, name: str) -> Session:
        return session(self.aircraft[name].engine)  # type: ignore[return-value]

    def register(self, name: str, password: str = "horse", who: str = "Ada") -> UUID:
        self.clock.advance(minutes=1)  # type: ignore[attr-defined]
        with self.aboard(name) as database:
            return users.register(database, ADA, who, "en", password, name, self.clock)

    def log_in(self, name: str, password: str) -> users.User | None:
        with self.aboard(name) as database:
            return users.log_in(database, ADA, password, name, self.clock)

    def user(self, name: str, user_id: UUID) -> users.User | None:
        with self.aboard(name) as database:
            return users.get(database, user_id)

    def edit(self, aboard: str, user_id: UUID, clock: Clock | None = None, **changes: str) -> None:
        with self.aboard(aboard) as database:
            users.edit(database, user_id, changes, aboard, clock or self.clock)

    def play(self, name: str, user_id: UUID) -> None:
        with self.aircraft[name].engine.begin() as connection:
            connection.execute(
                text(
                    "insert into usage_event (id, user_id, kind, aircraft) "
                    "values (gen_random_uuid(), :user, 'play', :name)"
                ),
                {"user": user_id, "name": name},
            )


def played(fleet: Fleet) -> list[str]:
    return scalar_list(
        fleet.hangar,
        "select distinct coalesce(cast(user_id as text), '') from usage_event order by 1",
    )
