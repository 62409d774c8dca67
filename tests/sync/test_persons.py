"""Persons across a fleet: joined by a password and never by an address, forgotten everywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from common import consents, tokens, users
from common.database import session
from common.schema import USER_FIELDS
from sync import ack, files, forgotten, merge_log, persons, seal, state
from sync.apply import apply_all
from sync.hangar import ingest
from sync.users import folds
from tests.sync.ends import End, carry, run, scalar, scalar_list
from tests.sync.packed import Packer, Rows

pytestmark = pytest.mark.postgres
Clock = Callable[[], datetime]

ADA = "ada@example.org"


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password's hash is slow on purpose; what is tested here is not how slow."""
    make = users.generate_password_hash
    monkeypatch.setattr(
        users, "generate_password_hash", lambda word, method: make(word, "pbkdf2:sha256:1")
    )


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


@pytest.fixture
def fleet(hangar: End, new_end: Callable[..., End], clock: Clock) -> Fleet:
    return Fleet(hangar, {name: new_end(name) for name in ("EC-TAA", "EC-TAB", "EC-TAC")}, clock)


@pytest.fixture
def twice(fleet: Fleet) -> tuple[UUID, UUID]:
    """One person with two accounts, made aboard two aircraft while neither knew of the other."""
    first, second = fleet.register("EC-TAA"), fleet.register("EC-TAB", who="A. Lovelace")
    fleet.land("EC-TAA", "EC-TAB", "EC-TAA", "EC-TAC")
    return first, second


def played(fleet: Fleet) -> list[str]:
    return scalar_list(
        fleet.hangar,
        "select distinct coalesce(cast(user_id as text), '') from usage_event order by 1",
    )


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


# Being forgotten.


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
