"""Persons across a fleet: joined by a password and never by an address."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from common import consents, tokens, users
from common.schema import USER_FIELDS
from sync import merge_log
from sync.apply import apply_all
from sync.users import folds
from tests.sync.ends import run, scalar, scalar_list
from tests.sync.packed import Packer, Rows
from tests.sync.people import ADA, Fleet, played

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("cheap_passwords"), pytest.mark.slow]


def log(fleet: Fleet) -> list[str]:
    return scalar_list(fleet.hangar, "select rule || ' ' || field from user_merge_log order by 1")


# A wrong clock.


def test_a_clock_that_is_ahead_wins_until_somebody_edits_after_it_was_received(
    fleet: Fleet,
) -> None:
    ada = fleet.register("EC-TAA")
    fleet.land("EC-TAA", "EC-TAB")

    def wrong() -> datetime:
        return fleet.clock().replace(year=2036)

    fleet.edit("EC-TAA", ada, wrong, name="Of the future")
    assert fleet.user("EC-TAA", ada).name == "Of the future"
    fleet.land("EC-TAA", "EC-TAB")
    assert fleet.user("EC-TAB", ada).name == "Of the future"
    fleet.clock.advance(minutes=1)
    fleet.edit("EC-TAB", ada, name="Countess")
    fleet.land("EC-TAB", "EC-TAA")
    names = [fleet.user(name, ada).name for name in ("EC-TAA", "EC-TAB")]
    assert names == ["Countess", "Countess"], "also where the clock was wrong"
    fleet.clock.advance(minutes=1)
    fleet.edit("EC-TAA", ada, name="Lovelace")
    fleet.land("EC-TAA", "EC-TAB")
    assert fleet.user("EC-TAB", ada).name == "Lovelace", "what was ahead is forgotten there, too"
    assert "clamped name" in log(fleet)


def test_two_edits_by_a_clock_that_is_ahead_keep_their_order(fleet: Fleet) -> None:
    ada = fleet.register("EC-TAA")
    for name in ("First", "Second"):
        fleet.edit("EC-TAA", ada, lambda: fleet.clock().replace(year=2036), name=name)
    fleet.land("EC-TAA", "EC-TAB")
    assert fleet.user("EC-TAB", ada).name == fleet.user("EC-TAA", ada).name == "Second"


def test_a_consent_by_a_clock_that_was_ahead_does_not_make_later_edits_later(fleet: Fleet) -> None:
    ada = fleet.register("EC-TAA")
    fleet.land("EC-TAA", "EC-TAB")
    with fleet.aboard("EC-TAA") as database:
        ahead = fleet.clock().replace(year=2036)
        consents.state(database, ada, "offers", True, "EC-TAA", lambda: ahead)
    fleet.land("EC-TAA", "EC-TAB")
    for name, said in (("EC-TAA", "Earlier"), ("EC-TAB", "Later")):
        fleet.clock.advance(minutes=1)
        fleet.edit(name, ada, name=said)
    for name in ("EC-TAB", "EC-TAA", "EC-TAB"):
        fleet.clock.advance(minutes=1)
        fleet.land(name)
    assert fleet.user("EC-TAB", ada).name == "Later"


# What is shown aboard between an edit and what the hangar made of it.


def test_an_acknowledged_edit_counts_until_the_hangar_s_own_row_comes(fleet: Fleet) -> None:
    ada = fleet.register("EC-TAA")
    fleet.land("EC-TAA", "EC-TAB")
    fleet.clock.advance(minutes=1)
    fleet.edit("EC-TAA", ada, name="Countess", password_hash="new")
    with fleet.aboard("EC-TAA") as database:
        consents.state(database, ada, "offers", True, "EC-TAA", fleet.clock)
    for step in (fleet.acknowledge, fleet.push, fleet.acknowledge, fleet.pull):
        step("EC-TAA")
        user = fleet.user("EC-TAA", ada)
        with fleet.aboard("EC-TAA") as database:
            seen = (user.name, user.password_hash, consents.held(database, ada))
        assert seen == ("Countess", "new", {"offers": True}), step


def test_an_event_that_comes_again_is_not_settled_again(fleet: Fleet) -> None:
    ada = fleet.register("EC-TAA")
    fleet.land("EC-TAA")
    fleet.clock.advance(minutes=1)
    fleet.edit("EC-TAA", ada, name="Countess")
    fleet.push("EC-TAA")
    before = scalar(fleet.hangar, "select version from app_user")
    run(
        fleet.hangar,
        "delete from sync.dirty",
        "create table again as select * from user_event",
    )
    with fleet.hangar.engine.begin() as connection:
        connection.execute(text("set local sync.applying = 'on'"))
        folds(fleet.clock)["user_event"](connection, "again")
    run(fleet.hangar, "drop table again")
    assert scalar(fleet.hangar, "select version from app_user") == before
    assert scalar(fleet.hangar, "select count(*) from sync.dirty") == 0


# One address, two accounts.


@pytest.mark.parametrize("stranger_first", [True, False])
def test_whoever_registers_another_s_address_gets_an_account_of_their_own_and_no_more(
    fleet: Fleet, stranger_first: bool
) -> None:
    """Nobody has shown that an address is theirs, whoever came first."""
    who = {"EC-TAA": ("horse", "Ada"), "EC-TAB": ("zebra", "Mallory")}
    accounts = {
        name: fleet.register(name, *who[name]) for name in sorted(who, reverse=stranger_first)
    }
    victim, stranger = accounts["EC-TAA"], accounts["EC-TAB"]
    with fleet.aboard("EC-TAB") as database:
        consents.state(database, stranger, "offers", True, "EC-TAB", fleet.clock)
        token = tokens.issue(database, stranger, fleet.clock)
    fleet.land("EC-TAA", "EC-TAB", "EC-TAA", "EC-TAC")
    for name in fleet.aircraft:
        for home, (password, its_name) in who.items():
            user = fleet.log_in(name, password)
            assert (user.id, user.name) == (accounts[home], its_name)
    fleet.land("EC-TAA", "EC-TAB", "EC-TAC")
    assert scalar(fleet.hangar, "select count(*) from user_alias") == 0
    with fleet.aboard("EC-TAB") as database:
        assert tokens.lookup(database, token, fleet.clock) == stranger
        assert consents.held(database, victim) == {"offers": False}
        users.erase(database, stranger, "EC-TAB", fleet.clock)
    fleet.land("EC-TAB", "EC-TAC")
    assert fleet.log_in("EC-TAC", "zebra") is None
    assert fleet.log_in("EC-TAC", "horse").id == victim
    assert "apart email" in log(fleet)


def test_accounts_that_one_password_opens_are_one_person_s_with_the_older_id(
    fleet: Fleet, twice: tuple[UUID, UUID]
) -> None:
    first, second = twice
    with fleet.aboard("EC-TAB") as database:
        token = tokens.issue(database, second, fleet.clock)
    fleet.play("EC-TAA", first)
    fleet.play("EC-TAB", second)
    fleet.land("EC-TAB")
    fleet.play("EC-TAB", second)
    for _ in range(2):
        assert fleet.log_in("EC-TAC", "horse").id == first
    assert scalar(fleet.aircraft["EC-TAC"], "select count(*) from user_event") == 1, "said once"
    fleet.land("EC-TAC", "EC-TAA", "EC-TAB")
    assert scalar_list(fleet.hangar, "select cast(id as text) from user_alias") == [str(second)]
    for name in fleet.aircraft:
        user = fleet.log_in(name, "horse")
        assert (user.id, user.name) == (first, "A. Lovelace"), "the later edit's"
        assert fleet.user(name, second).name == user.name, "by either account"
    with fleet.aboard("EC-TAB") as database:
        assert tokens.lookup(database, token, fleet.clock) == first, "passengers stay logged in"
    assert played(fleet) == [str(first)], "what came before and what came after"


def test_no_aircraft_changes_whom_another_s_usage_names(
    fleet: Fleet, twice: tuple[UUID, UUID]
) -> None:
    fleet.log_in("EC-TAC", "horse")
    fleet.land("EC-TAC")
    play, columns = uuid4(), ("id", "user_id", "kind", "aircraft")
    for name, user in (("EC-TAX", None), ("EC-TAY", twice[1])):
        Packer(fleet.hangar, name, "use").send(
            Rows("usage_event", columns, [(play, user, "play", name)])
        )
        apply_all(fleet.hangar.engine, fleet.hangar.settings, name, folds=folds(fleet.clock))
    assert played(fleet) == [""]


def test_a_new_password_ends_the_others_and_what_was_opened_with_them(
    fleet: Fleet, twice: tuple[UUID, UUID]
) -> None:
    first, second = twice
    fleet.log_in("EC-TAC", "horse")
    fleet.land("EC-TAC", "EC-TAA", "EC-TAB")
    issued = {}
    for name, account in (("EC-TAA", first), ("EC-TAB", second), ("EC-TAC", first)):
        with fleet.aboard(name) as database:
            issued[name] = tokens.issue(database, account, fleet.clock)
    fleet.clock.advance(minutes=1)
    fleet.edit("EC-TAA", first, password_hash=users.generate_password_hash("new", ""))
    fleet.land("EC-TAA", "EC-TAB")
    for name, live in (("EC-TAA", False), ("EC-TAB", False), ("EC-TAC", True)):
        with fleet.aboard(name) as database:
            found = tokens.lookup(database, issued[name], fleet.clock)
        assert (found is not None) is live, f"{name} has not landed since" if live else name
    for name in ("EC-TAA", "EC-TAB"):
        assert fleet.log_in(name, "new").id == first
        assert fleet.log_in(name, "horse") is None


def test_two_with_one_address_in_one_change_set_are_told_apart_once(fleet: Fleet) -> None:
    fleet.register("EC-TAA")
    fleet.edit("EC-TAA", uuid4(), email=ADA)
    fleet.land("EC-TAA")
    assert log(fleet) == ["apart email"]


# Consent.


def test_a_withdrawal_beats_a_consent_given_elsewhere_without_knowing_of_it(fleet: Fleet) -> None:
    ada = fleet.register("EC-TAA")
    fleet.land("EC-TAA", "EC-TAB")
    with fleet.aboard("EC-TAA") as database:
        consents.state(database, ada, "offers", False, "EC-TAA", fleet.clock)
    fleet.clock.advance(days=1)
    with fleet.aboard("EC-TAB") as database:
        consents.state(database, ada, "offers", True, "EC-TAB", fleet.clock)
        assert consents.held(database, ada) == {"offers": True}, "as far as is known there"
    fleet.land("EC-TAA", "EC-TAB", "EC-TAA")
    for name in ("EC-TAA", "EC-TAB"):
        with fleet.aboard(name) as database:
            assert consents.held(database, ada) == {"offers": False}
    with fleet.aboard("EC-TAB") as database:
        consents.state(database, ada, "offers", True, "EC-TAB", fleet.clock)
    fleet.land("EC-TAB", "EC-TAA")
    with fleet.aboard("EC-TAA") as database:
        assert consents.held(database, ada) == {"offers": True}, "now it was known"
    assert scalar(fleet.hangar, "select count(*) from user_consent") == 3, "each is a row"


# The log.


def test_the_log_holds_no_value_and_is_bounded_in_age(
    fleet: Fleet, twice: tuple[UUID, UUID]
) -> None:
    first, _ = twice
    fleet.log_in("EC-TAC", "horse")
    fleet.clock.advance(minutes=1)
    fleet.edit("EC-TAA", first, name="Secret name", password_hash="pbkdf2:secret")
    fleet.land("EC-TAC", "EC-TAA")
    assert set(log(fleet)) == {
        "apart email",
        "later email",
        "later language",
        "later name",
        "later password_hash",
        "same ",
    }
    rows = scalar_list(fleet.hangar, "select cast(t as text) from user_merge_log t")
    assert not any("ecret" in row or "example" in row or "pbkdf2" in row for row in rows)
    assert set(USER_FIELDS) >= {row.split()[1] for row in log(fleet) if row.split()[1:]}
    fleet.clock.advance(days=91)
    with fleet.hangar.engine.begin() as connection:
        merge_log.forget(connection, fleet.clock())
    assert log(fleet) == []
