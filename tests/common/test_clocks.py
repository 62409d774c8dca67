"""Identifiers and edit clocks only grow, whatever the wall clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from common import hlc
from common.uuid7 import Maker

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=50))
def test_identifiers_grow_even_when_the_clock_steps_back(times: list[int]) -> None:
    readings = iter(times)
    make = Maker(clock_ms=lambda: next(readings))
    made = [make() for _ in times]
    assert made == sorted(set(made))


def test_an_identifier_is_a_version_7_uuid_of_its_millisecond() -> None:
    made = Maker(clock_ms=lambda: 1_700_000_000_123)()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == 1_700_000_000_123


def test_more_than_a_counter_of_identifiers_in_one_millisecond_stay_distinct() -> None:
    make = Maker(clock_ms=lambda: 1_700_000_000_000)
    made = [make() for _ in range(5000)]
    assert made == sorted(set(made))


@given(st.integers(0, 2**62), st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)))
def test_an_edit_is_later_than_the_one_before_whatever_the_clock_says(
    last: int, now: datetime
) -> None:
    assert hlc.tick(last, now.replace(tzinfo=UTC)) > last


def test_an_edit_follows_the_wall_clock_when_it_can() -> None:
    first = hlc.tick(0, NOON)
    later = hlc.tick(first, NOON + timedelta(seconds=5))
    assert (later >> 16) - (first >> 16) == 5000
    assert hlc.tick(first, NOON - timedelta(days=3650)) == first + 1
