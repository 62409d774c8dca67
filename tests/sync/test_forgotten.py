"""Persons who wish to be forgotten are, wherever they were known, whatever comes later."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from common import tokens, users
from sync import files, forgotten, persons, seal
from sync.apply import apply_all
from sync.hangar import ingest
from sync.users import folds
from tests.sync.ends import End, scalar, scalar_list
from tests.sync.packed import Packer, Rows
from tests.sync.people import ADA, Clock, Fleet, played

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("cheap_passwords"), pytest.mark.slow]


def everything(end: End) -> str:
    """What a database holds of users, in one text."""
    tables = (
        "app_user",
        "user_event",
        "user_consent",
        "user_clamp",
        "user_alias",
        "user_merge_log",
    )
    return " ".join(
        str(row)
        for one in (*tables, "token", "usage_event")
        for row in scalar_list(end, f"select cast(t as text) from {one} t")
    )


def test_a_person_who_is_forgotten_is_gone_at_once_aboard_and_then_everywhere(
    fleet: Fleet, twice: tuple[UUID, UUID]
) -> None:
    first, second = twice
    fleet.log_in("EC-TAC", "horse")
    fleet.land("EC-TAC", "EC-TAA", "EC-TAB")
    fleet.play("EC-TAA", first)
    # Sealed aboard before, and landing weeks after, by either account.
    fleet.edit("EC-TAB", first, name="Written long ago")
    fleet.play("EC-TAB", second)
    with fleet.aboard("EC-TAB") as database:
        users.say(database, second, "name", "By the alias", "EC-TAB", fleet.clock())
    seal.seal_all(fleet.aircraft["EC-TAB"].engine, fleet.aircraft["EC-TAB"].settings)
    with fleet.aboard("EC-TAA") as database:
        token = tokens.issue(database, first, fleet.clock)
        users.erase(database, first, "EC-TAA", fleet.clock)
        assert tokens.lookup(database, token, fleet.clock) is None
        assert users.get(database, first) is users.get(database, second) is None
    assert fleet.log_in("EC-TAA", "horse") is None
    again = fleet.register("EC-TAA", "zebra")
    fleet.land("EC-TAA", "EC-TAC")
    assert fleet.log_in("EC-TAC", "horse") is None
    fleet.clock.advance(days=30)
    fleet.land("EC-TAB", "EC-TAA", "EC-TAB", "EC-TAA")
    # An unsent event is never removed; once it is acknowledged it goes.
    for end in (fleet.hangar, *fleet.aircraft.values()):
        held = everything(end)
        for word in ("Written", "alias", "Lovelace"):
            assert word not in held, end.settings.node
        said_by = scalar_list(end, "select cast(user_id as text) from user_event")
        assert not {str(first), str(second)} & set(said_by), end.settings.node
        tombstones = scalar_list(
            end, "select cast(id as text) from app_user where erased order by 1"
        )
        assert tombstones == [str(first), str(second)], end.settings.node
    assert played(fleet) == [""], "the play stays, and names no one"
    assert fleet.log_in("EC-TAA", "zebra").id == again, "and may come back, as somebody else"


def test_the_hangar_may_forget_somebody_itself(fleet: Fleet) -> None:
    ada = fleet.register("EC-TAA")
    fleet.land("EC-TAA", "EC-TAB")
    fleet.edit("EC-TAB", ada, name="Later")
    with fleet.hangar.engine.begin() as connection:
        persons.order_erasure(connection, ada, fleet.clock())
    fleet.land("EC-TAB", "EC-TAA")
    for end in (fleet.hangar, fleet.aircraft["EC-TAA"], fleet.aircraft["EC-TAB"]):
        assert "Later" not in everything(end)
        assert "example.org" not in everything(end)


def test_nothing_that_a_person_said_stays_in_quarantine_whenever_it_comes(
    hangar: End, clock: Clock
) -> None:
    ada, settling = uuid4(), folds(clock)
    said, used = Packer(hangar, "EC-TAA", "usr"), Packer(hangar, "EC-TAA", "use")
    event = ("id", "user_id", "field", "value", "hlc", "aircraft")
    play = ("id", "user_id", "kind", "aircraft")

    def come() -> None:
        said.send(Rows("user_event", event, [(uuid4(), ada, "phone", '"+34 1"', 1, "EC-TAA")]))
        used.send(Rows("usage_event", play, [(uuid4(), ada, None, "EC-TAA")]))
        done = apply_all(hangar.engine, hangar.settings, "EC-TAA", folds=settling)
        assert done.quarantined == 2
        ingest(hangar.engine, hangar.settings, "EC-TAA", clock=clock)

    kept = "select tbl || ' ' || coalesce(row ->> 'user_id', '') from sync.quarantine order by 1"
    come()
    assert scalar_list(hangar, kept) == [f"usage_event {ada}", f"user_event {ada}"]
    with hangar.engine.begin() as connection:
        persons.order_erasure(connection, ada, clock())
    assert scalar_list(hangar, kept) == ["usage_event "], "what was used is no less than elsewhere"
    come()
    assert scalar_list(hangar, kept) == ["usage_event "] * 2, "weeks after"


def test_an_account_that_was_refused_aboard_goes_when_its_tombstone_comes(aircraft: End) -> None:
    ada, account = uuid4(), ("id", "email", "version", "erased")
    down = Packer(aircraft, files.HANGAR, "usr")
    for row, kept in (((ada, ADA, "none", "f"), 1), ((ada, "", "2", "t"), 0)):
        down.send(Rows("app_user", account, [row]))
        assert apply_all(aircraft.engine, aircraft.settings, files.HANGAR).problems == []
        forgotten.sweep(aircraft.engine)
        assert scalar(aircraft, "select count(*) from sync.quarantine") == kept
