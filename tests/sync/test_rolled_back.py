"""A release that was rolled back leaves tables and triggers: what they record waits until it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from common.schema import Base, Direction, travelling
from sync import behind, capture, epoch, seal, state
from tests.sync.ends import End, add_events, ids, run, scalar
from tests.sync.landing import beat, history, land, settled

pytestmark = pytest.mark.postgres

GAP = (
    "insert into usage_gap (id, at, aircraft, first_at, last_at, events) "
    "values (gen_random_uuid(), now(), 'EC-TAA', now(), now(), 7)"
)
ITEM = "insert into item (id, kind, title) values (gen_random_uuid(), 'film', '{\"en\": \"A\"}')"
SURVEY = "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')"

Older = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def older() -> Older:
    """A release that does not know a table yet, on a database that has it already."""

    @contextmanager
    def without(table: str) -> Iterator[None]:
        def known(direction: Direction) -> list[type[Base]]:
            return [one for one in travelling(direction) if one.__tablename__ != table]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(capture, "travelling", known)
            yield

    return without


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a')")
    return hangar


def recorded(end: End) -> object:
    return scalar(
        end, "select array_agg(distinct tbl || coalesce(batch::text, '')) from sync.dirty"
    )


def test_rows_of_a_table_that_is_not_known_wait_and_travel_later(
    aircraft: End, hangar: End, older: Older
) -> None:
    run(aircraft, GAP)
    with older("usage_gap"):
        add_events(aircraft, 3)
        for _ in range(3):
            assert land(aircraft, hangar).problems == []
        assert ids(hangar) == ids(aircraft)
        assert recorded(aircraft) == ["usage_gap"]
    settled(aircraft, hangar)
    assert ids(hangar, "usage_gap") == ids(aircraft, "usage_gap")


def test_what_cannot_be_sealed_makes_nothing_due(aircraft: End, hangar: End, older: Older) -> None:
    run(aircraft, GAP)
    # And of a stream that only a newer release has.
    run(
        aircraft,
        "insert into sync.epoch (stream, epoch) values ('new', gen_random_uuid())",
        "insert into sync.dirty (stream, tbl, pk) values ('new', 'seat', gen_random_uuid())",
    )
    with older("usage_gap"):
        told = state.local_state(aircraft.engine, aircraft.settings)["up"]
        assert {stream: one["unsealed_rows"] for stream, one in told.items()} == {
            "new": 0,
            "pay": 0,
            "use": 0,
            "usr": 0,
        }
        assert {one["oldest_at"] for one in told.values()} == {None}
        assert "up" not in beat(aircraft, hangar).answer.names
        add_events(aircraft, 1)
        assert "up" in beat(aircraft, hangar).answer.names
    told = state.local_state(aircraft.engine, aircraft.settings)["up"]
    assert told["use"]["unsealed_rows"] == 2
    with aircraft.engine.connect() as connection:
        assert behind.waiting(connection, "aircraft")["use"]["oldest_at"]


def test_a_new_history_forgets_no_row_of_a_table_that_is_not_known(
    aircraft: End, hangar: End, older: Older
) -> None:
    # One that lies in the outbox, one that does not yet.
    run(aircraft, GAP)
    add_events(aircraft, 2)
    seal.seal_all(aircraft.engine, aircraft.settings)
    run(aircraft, GAP)
    began = history(aircraft)
    with older("usage_gap"):
        with seal.alone(aircraft.engine, "use"):
            epoch.begin(aircraft.engine, aircraft.settings, "use", "to see")
        assert history(aircraft) != began
        assert recorded(aircraft) == ["usage_event", "usage_gap"]
        for _ in range(3):
            assert land(aircraft, hangar).problems == []
        assert ids(hangar) == ids(aircraft)
    settled(aircraft, hangar)
    assert len(ids(hangar, "usage_gap")) == 2


def test_the_hangar_keeps_what_it_cannot_seal(hangar: End, older: Older) -> None:
    run(hangar, SURVEY, ITEM)
    with older("survey"):
        assert [one.rows for one in seal.seal_all(hangar.engine, hangar.settings)] == [1]
        with seal.alone(hangar.engine, "cat"):
            epoch.begin(hangar.engine, hangar.settings, "cat", "to see")
        assert seal.seal_all(hangar.engine, hangar.settings) == []
        assert recorded(hangar) == ["survey"]
    assert [one.rows for one in seal.seal_all(hangar.engine, hangar.settings)] == [1]
    assert recorded(hangar) is None
