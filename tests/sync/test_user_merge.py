"""Settling edits: who wins does not depend on who lands first, nor on how often, whatever the clocks."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from common import consents
from common.schema import USER_FIELDS
from sync import users
from sync.user_merge import Edit, merge
from tests.sync.ends import End

pytestmark = pytest.mark.slow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AIRCRAFT = ("EC-TAA", "EC-TAB", "EC-TAC", "EC-TAD")
PEOPLE = [UUID(int=n) for n in (1, 2, 3)]

EDITS = st.lists(
    st.builds(
        Edit,
        field=st.sampled_from(["name", "language"]),
        value=st.text(max_size=3),
        key=st.tuples(st.integers(0, 5), st.sampled_from(AIRCRAFT), st.integers(0, 5)),
    ),
    # One aircraft's clock never gives two edits of a field the same reading.
    unique_by=lambda edit: (edit.field, edit.key),
    max_size=12,
)


@given(EDITS, st.integers())
def test_any_order_and_any_repetition_settle_the_same_user(edits: list[Edit], seed: int) -> None:
    shuffled = edits * 2
    random.Random(seed).shuffle(shuffled)
    assert merge({}, {}, shuffled)[:2] == merge({}, {}, edits)[:2]


@given(EDITS, st.integers(0, 12))
def test_folding_in_two_steps_is_folding_at_once(edits: list[Edit], cut: int) -> None:
    values, clocks, _ = merge({}, {}, edits[:cut])
    assert merge(values, clocks, edits[cut:])[:2] == merge({}, {}, edits)[:2]


@given(EDITS)
def test_each_field_is_the_latest_edits(edits: list[Edit]) -> None:
    for field, value in merge({}, {}, edits)[0].items():
        of_field = [edit for edit in edits if edit.field == field]
        assert value == max(of_field, key=lambda edit: edit.key).value


@given(EDITS)
def test_each_edit_but_the_first_of_a_field_leaves_a_decision(edits: list[Edit]) -> None:
    values, _, decided = merge({}, {}, edits)
    assert len(decided) == len(edits) - len(values)
    assert all(winner > loser for _, winner, loser in decided)


@given(
    st.lists(
        st.tuples(st.sampled_from("1234567"), st.booleans(), st.sets(st.sampled_from("1234567")))
    )
)
def test_a_withdrawal_beats_every_consent_that_did_not_know_of_it(said) -> None:
    statements = [
        consents.Statement(one, given_, frozenset(after) if given_ else frozenset())
        for one, given_, after in {one[0]: one for one in said}.values()
    ]
    held = consents.holds(statements)
    assert held == consents.holds(reversed(statements * 2))
    withdrawn = consents.Statement("8", False)
    assert not consents.holds([withdrawn, *statements])
    knowing = frozenset(one.id for one in [*statements, withdrawn] if not one.given)
    assert consents.holds([withdrawn, *statements, consents.Statement("9", True, knowing)])


@dataclass(frozen=True)
class Landing:
    """A change-set of one aircraft: when the hangar received it, in ms, and what was said in it."""

    aircraft: str
    received_ms: int
    said: tuple[tuple[UUID, str, str, int], ...]


def landings() -> st.SearchStrategy[list[Landing]]:
    """Several change-sets; clocks are behind, right, and ahead of when they were received."""
    edit = st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from([*USER_FIELDS, *USER_FIELDS, "same", "erase", "consent"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 12 << 16),
    )
    return st.lists(
        st.builds(
            Landing,
            aircraft=st.sampled_from(AIRCRAFT),
            received_ms=st.integers(1, 5),
            said=st.lists(edit, max_size=6, unique_by=lambda one: one[:2] + one[3:]).map(tuple),
        ),
        min_size=2,
        max_size=4,
        unique_by=lambda landing: landing.aircraft,
    )


def rows(landing: Landing) -> list[dict[str, object]]:
    found = []
    for number, (user_id, field, value, reading) in enumerate(landing.said):
        other = PEOPLE[(PEOPLE.index(user_id) + 1 + ord(value) % 2) % 3]
        consent = f'{{"purpose": "offers", "given": {str(value == "a").lower()}, "after": []}}'
        told = {"same": f'"{other}"', "erase": '""', "consent": consent}
        found.append(
            {
                "id": UUID(int=(AIRCRAFT.index(landing.aircraft) + 1) << 64 | number),
                "user_id": user_id,
                "field": field,
                "value": told.get(field, f'"{value}{number}{landing.aircraft}"'),
                "hlc": reading,
                "aircraft": landing.aircraft,
            }
        )
    return found


def apply(connection: Connection, landing: Landing) -> None:
    """What `sync.apply` does with a change-set of users and one of usage."""
    incoming = rows(landing)
    connection.execute(
        text("create temp table incoming (like user_event including defaults) on commit drop")
    )
    for row in incoming:
        connection.execute(
            text(
                "insert into incoming (id, user_id, field, value, hlc, aircraft) "
                "values (:id, :user_id, :field, cast(:value as jsonb), :hlc, :aircraft)"
            ),
            row,
        )
    connection.execute(
        text("insert into user_event select * from incoming on conflict (id) do nothing")
    )
    received = EPOCH + timedelta(milliseconds=landing.received_ms)
    folds = users.folds(lambda: received)
    folds["user_event"](connection, "incoming")
    connection.execute(
        text(
            "create temp table used (like usage_event including defaults) on commit drop; "
            "insert into used (id, user_id, kind, aircraft) "
            "select id, user_id, 'play', aircraft from incoming; "
            "insert into usage_event select * from used on conflict (id) do nothing"
        )
    )
    folds["usage_event"](connection, "used")
    connection.execute(text("drop table incoming, used"))


STATE = (
    "select id, email, name, language, password_hash, clocks, erased from app_user order by id",
    "select id, canonical from user_alias order by id",
    "select id, user_id, given from user_consent order by id",
    "select id, reading from user_clamp order by id",
    "select id from user_event order by id",
    "select id, user_id from usage_event order by id",
)


def settled(hangar: End, order: list[Landing]) -> list[list[tuple[object, ...]]]:
    """What the hangar holds after these, in this order; nothing is left of it."""
    with hangar.engine.connect() as connection:
        connection.execute(text("set local sync.applying = 'on'"))
        for landing in order:
            apply(connection, landing)
        found = [[tuple(row) for row in connection.execute(text(one))] for one in STATE]
        connection.rollback()
    return found


@pytest.mark.postgres
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(landings(), st.randoms(use_true_random=False))
def test_whoever_lands_first_the_hangar_holds_the_same(hangar: End, flown, rng) -> None:
    """Names, addresses, passwords, consents, joined and erased persons, and whom the usage names."""
    shuffled = flown[:]
    rng.shuffle(shuffled)
    assert settled(hangar, shuffled) == settled(hangar, flown)


@pytest.mark.postgres
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(landings())
def test_what_comes_again_changes_nothing(hangar: End, flown: list[Landing]) -> None:
    later = [Landing(one.aircraft, 7, one.said) for one in flown]
    assert settled(hangar, flown + later) == settled(hangar, flown)


ONE, TWO, THREE = PEOPLE
# `same` with "a" names the next but one of them, with "b" the next.
JOINED = [
    Landing("EC-TAA", 2, ((ONE, "name", "a", 7 << 16), (ONE, "password_hash", "a", 1))),
    Landing(
        "EC-TAB", 3, ((TWO, "same", "b", 0), (TWO, "name", "b", 6 << 16), (TWO, "consent", "a", 0))
    ),
    Landing("EC-TAC", 4, ((THREE, "same", "b", 0), (THREE, "password_hash", "c", 2))),
]


@pytest.mark.postgres
@pytest.mark.parametrize("erased", [False, True])
def test_accounts_joined_one_after_the_other_are_one_in_any_order(
    hangar: End, erased: bool
) -> None:
    """Two edits by clocks that are ahead, each as of when it was received, and three accounts."""
    last = Landing("EC-TAD", 5, ((TWO, "erase", "a", 0),) if erased else ())
    found = []
    for number, order in enumerate(permutations(JOINED)):
        found.append(settled(hangar, [*order[: number % 4], last, *order[number % 4 :]]))
    assert all(one == found[0] for one in found)
    people, aliases, said, clamps, events, used = found[0]
    assert aliases == [(TWO, ONE), (THREE, ONE)]
    assert {row[0] for row in people} == {ONE, TWO, THREE}
    assert {row[-1] for row in people} == {erased}
    assert {row[1] for row in used} == {None if erased else ONE}
    if erased:
        assert (said, clamps, events) == ([], [], [])
    else:
        assert people[0][2] == "b1EC-TAB", "received later"
        assert [row[4] for row in people] == ["a1EC-TAA", "", "c1EC-TAC"], "each its own"


@pytest.mark.postgres
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_edits_received_at_once_the_one_made_later_wins(hangar: End, turned: bool) -> None:
    said = ((ONE, "name", "a", 9 << 16), (ONE, "name", "b", 9 << 16 | 1))
    landing = Landing("EC-TAA", 2, said[::-1] if turned else said)
    assert settled(hangar, [landing])[0][0][2][0] == "b"
