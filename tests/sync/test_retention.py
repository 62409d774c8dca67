"""What stays aboard: a full disk costs the oldest statistics, and the hangar hears of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from common.settings import Settings
from sync import ack, retention, seal, space
from sync.apply import apply_all
from sync.retention import STEPS, Disk, keep, lacking, rows_of, statistics, writable
from sync.state import acks
from tests.sync.ends import End, PowerCut, carry, cut_at, ids, run, scalar

pytestmark = pytest.mark.postgres

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MB, GIB = 10**6, 2**30
# What is spare in tables of a few rows makes no difference to that.
ROOMY, FULL = Disk(500 * MB, 1000 * MB), Disk(0, 1000 * MB)
EVENTS = """
insert into usage_event (id, kind, at, aircraft)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000'
    || substr(md5(at::text), 1, 16))::uuid, 'play', at, 'EC-TAA'
from (select '{}'::timestamptz + n * interval '1 minute' as at from generate_series(0, {} - 1) n) times
"""


def add(end: End, began: datetime, count: int) -> None:
    run(end, EVENTS.format(began.isoformat(), count))


def acknowledge(aircraft: End, hangar: End) -> None:
    seal.seal_all(aircraft.engine, aircraft.settings)
    carry(aircraft, hangar)
    apply_all(hangar.engine, hangar.settings, "EC-TAA")
    assert ack.accept(aircraft.engine, aircraft.settings, acks(hangar.engine, "EC-TAA")) == []


def disks(*found: Disk) -> Callable[[Settings], Disk]:
    looks = iter(found)
    return lambda settings: next(looks, found[-1])


def look(end: End, *found: Disk, **more: Any) -> retention.Kept:
    return keep(end.engine, end.settings, clock=lambda: NOON, disk=disks(*found), **more)


SIZE = "select pg_total_relation_size('usage_event') + pg_total_relation_size('sync.dirty')"


@pytest.fixture
def packed(aircraft: End) -> End:
    """Tables that hold nothing but their rows."""
    with aircraft.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("usage_event", "sync.dirty"):
            connection.exec_driver_sql(f"vacuum (full) {table}")
    return aircraft


def small_disk(end: End, free: int, total: int = 10 * MB) -> Callable[[Settings], Disk]:
    """A disk that has so much room now, and more or less with what the tables take."""
    before = int(str(scalar(end, SIZE)))
    return lambda settings: Disk(free + before - int(str(scalar(end, SIZE))), total)


def make_room(end: End, disk: Callable[[Settings], Disk]) -> retention.Kept:
    return retention.make_room(end.engine, end.settings, clock=lambda: NOON, disk=disk)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE", 10)


def ten_go(monkeypatch: pytest.MonkeyPatch, rows: int = 10) -> None:
    monkeypatch.setattr(retention, "rows_of", lambda size, taken, there: rows)


def test_what_may_go_is_declared_and_has_a_time() -> None:
    assert [model.__tablename__ for model in statistics()] == ["usage_event"]
    assert all("at" in model.__table__.columns for model in statistics())


@pytest.mark.parametrize(
    ("disk", "bytes_"),
    [
        (Disk(2 * GIB, 200 * GIB), 0),
        (Disk(2 * GIB - 4, 200 * GIB), GIB // 2 + 4),
        (Disk(100, 1000), 0),
        (Disk(99, 1000), 26),
    ],
)
def test_room_is_made_beyond_the_bound_and_only_below_it(disk: Disk, bytes_: int) -> None:
    assert lacking(disk) == bytes_


@pytest.mark.parametrize(("size", "rows", "go"), [(20, 50, 2), (20, 1, 1), (1, 50, 1), (0, 50, 0)])
def test_as_many_rows_go_as_it_takes(size: int, rows: int, go: int) -> None:
    assert rows_of(size, taken=500, rows=rows) == go


def test_acknowledged_statistics_go_after_a_week(aircraft: End, hangar: End, small: None) -> None:
    add(aircraft, NOON - timedelta(days=8), 25)
    add(aircraft, NOON - timedelta(days=6), 3)
    acknowledge(aircraft, hangar)
    add(aircraft, NOON - timedelta(days=9), 4)
    assert look(aircraft, ROOMY) == retention.Kept(acknowledged=25)
    assert len(ids(aircraft)) == 7
    assert scalar(hangar, "select count(*) from usage_event") == 28


def test_a_clock_that_began_at_1970_stops_nothing(aircraft: End, hangar: End) -> None:
    add(aircraft, NOON - timedelta(days=8), 1)
    acknowledge(aircraft, hangar)
    began = datetime(1970, 1, 2, tzinfo=UTC)
    kept = keep(aircraft.engine, aircraft.settings, clock=lambda: began, disk=disks(ROOMY))
    assert kept == retention.Kept()


def test_with_room_nothing_else_goes(aircraft: End) -> None:
    add(aircraft, NOON - timedelta(days=90), 5)
    assert look(aircraft, ROOMY) == retention.Kept()
    assert len(ids(aircraft)) == 5


def test_a_full_disk_costs_acknowledged_ones_first(packed: End, hangar: End) -> None:
    add(packed, NOON - timedelta(hours=80), 4000)
    acknowledge(packed, hangar)
    add(packed, NOON - timedelta(days=9), 4)
    disk = small_disk(packed, 900_000)
    assert make_room(packed, disk) == retention.Kept(acknowledged=4000)
    assert len(ids(packed)) == 4
    assert lacking(disk(packed.settings)) == 0


def test_then_the_oldest_unsent_ones_and_the_hangar_hears_how_many(
    aircraft: End, hangar: End, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_go(monkeypatch, rows=13)
    add(aircraft, NOON, 20)
    assert look(aircraft, FULL, FULL) == retention.Kept(unsent=13)
    acknowledge(aircraft, hangar)
    assert scalar(hangar, "select count(*) from usage_event") == 7
    assert scalar(hangar, "select min(at) from usage_event") == NOON + timedelta(minutes=13)
    told = "select array_agg(array[first_at, last_at] order by first_at) from usage_gap"
    minutes = ((0, 9), (10, 12))
    assert scalar(hangar, told) == [
        [NOON + timedelta(minutes=one) for one in pair] for pair in minutes
    ]
    assert scalar(hangar, "select array_agg(events order by first_at) from usage_gap") == [10, 3]


def test_what_a_batch_has_claimed_stays_until_it_is_acknowledged(
    aircraft: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_go(monkeypatch, rows=99)
    add(aircraft, NOON, 5)
    seal.seal_all(aircraft.engine, aircraft.settings)
    add(aircraft, NOON + timedelta(hours=1), 3)
    # Recorded again, as when a new history begins.
    run(aircraft, "insert into sync.dirty (stream, tbl, pk) select stream, tbl, pk from sync.dirty")
    assert look(aircraft, FULL, FULL).unsent == 3
    assert len(ids(aircraft)) == 5


def test_records_and_payments_are_never_touched(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_go(monkeypatch, rows=99)
    run(
        aircraft,
        "insert into survey_answer (id, survey_id, choice, aircraft) "
        "values (gen_random_uuid(), gen_random_uuid(), 1, 'EC-TAA')",
        "insert into user_event (id, user_id, field, value, hlc, aircraft) "
        "values (gen_random_uuid(), gen_random_uuid(), 'name', '\"Ada\"', 1, 'EC-TAA')",
        "insert into payment (id, order_id, kind, amount_minor, currency, aircraft) "
        "values (gen_random_uuid(), gen_random_uuid(), 'charge', 1250, 'EUR', 'EC-TAA')",
    )
    add(aircraft, NOON, 2)
    assert look(aircraft, FULL, FULL).unsent == 2
    acknowledge(aircraft, hangar)
    assert look(aircraft, FULL, FULL).acknowledged == 0
    for end in (aircraft, hangar):
        for table in ("survey_answer", "user_event", "payment", "usage_gap"):
            assert scalar(end, f"select count(*) from {table}") == 1, table


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_every_event_is_there_or_told_to_be_missing(
    aircraft: End, hangar: End, small: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ten_go(monkeypatch, rows=13)
    add(aircraft, NOON - timedelta(days=9), 5)
    acknowledge(aircraft, hangar)
    add(aircraft, NOON, 20)
    with pytest.raises(PowerCut):
        look(aircraft, FULL, FULL, at=cut_at(step))
    look(aircraft, ROOMY)
    acknowledge(aircraft, hangar)
    there = "select (select count(*) from usage_event) + "
    assert scalar(hangar, f"{there} coalesce((select sum(events) from usage_gap), 0)") == 25


def test_who_makes_room_does_not_follow_those_who_go_on_writing(
    packed: End, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten_go(monkeypatch, 1000)
    add(packed, NOON, 25)
    looks, look_at = [], retention._lay_out

    def somebody_writes(*what: Any) -> int:
        looks.append(look_at(*what))
        add(packed, NOON + timedelta(days=len(looks)), 1)
        assert len(looks) < 20, "this would never end"
        return looks[-1]

    monkeypatch.setattr(retention, "_lay_out", somebody_writes)
    kept = look(packed, FULL)
    # What is older than a week, then what is acknowledged, then the oldest: each ends where it is short.
    assert looks == [0, 10, 10, 8, 10, 10, 10, 2]
    assert (kept.acknowledged, kept.unsent) == (0, 32)


def test_room_is_given_back_to_the_disk(packed: End) -> None:
    add(packed, NOON, 3000)
    disk = small_disk(packed, 990_000)
    lost = make_room(packed, disk).unsent
    # As much as was lacking, and not many more.
    assert 1000 < lost < 1300
    assert lacking(disk(packed.settings)) == 0
    assert make_room(packed, disk) == retention.Kept()


def test_what_would_fill_the_disk_is_not_written_anew_and_its_room_is_used_again(
    packed: End,
) -> None:
    add(packed, NOON, 10_000)
    disk, file = small_disk(packed, 900_000), "select pg_relation_filenode('usage_event')"
    before, size = scalar(packed, file), scalar(packed, SIZE)
    lost = make_room(packed, disk).unsent
    assert lost > 1000
    assert scalar(packed, file) == before
    # As little is free as before, and nothing more goes for it.
    assert lacking(disk(packed.settings)) > 0
    assert make_room(packed, disk) == retention.Kept()
    add(packed, NOON + timedelta(days=30), lost * 9 // 10)
    assert int(str(scalar(packed, SIZE))) - int(str(size)) < 64 * 1024
    # What it was made for is used up by now.
    assert make_room(packed, disk).unsent > 0


def test_a_table_that_is_in_use_is_made_smaller_another_time(
    packed: End, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(space, "LOCK_WAIT", "10ms")
    add(packed, NOON, 3000)
    disk = small_disk(packed, 990_000)
    with packed.engine.connect() as reader:
        reader.exec_driver_sql("lock table usage_event, sync.dirty in access share mode")
        assert make_room(packed, disk).unsent > 0
        assert make_room(packed, disk) == retention.Kept()
    assert "public.usage_event cannot be made smaller now" in caplog.text
    assert make_room(packed, disk) == retention.Kept()
    assert lacking(disk(packed.settings)) == 0


@pytest.mark.parametrize(
    ("disk", "bytes_"),
    [(Disk(3 * GIB // 2, 200 * GIB), GIB // 2), (Disk(GIB, 200 * GIB), 0), (Disk(0, 1000), 0)],
)
def test_what_the_log_needs_is_not_written_into(disk: Disk, bytes_: int) -> None:
    assert writable(disk) == bytes_


@pytest.mark.parametrize("step", ["removed", "dropped", "compacted"])
def test_two_who_find_the_disk_full_at_once_do_not_both_make_room(
    aircraft: End, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ten_go(monkeypatch)
    add(aircraft, NOON, 30)
    other: list[retention.Kept] = []
    second = Thread(target=lambda: other.append(look(aircraft, FULL)))

    def at(reached: str) -> None:
        if reached == step:
            second.start()
            second.join(timeout=2)

    first = look(aircraft, FULL, at=at)
    second.join()
    assert (first.unsent, other) == (10, [retention.Kept()])
    assert len(ids(aircraft)) == 20


@pytest.mark.parametrize("amount", ["0", "-1"])
def test_a_payment_says_its_kind_and_not_its_sign(aircraft: End, amount: str) -> None:
    with pytest.raises(DBAPIError, match="ck_payment_amount_minor"):
        run(
            aircraft,
            "insert into payment (id, order_id, kind, amount_minor, currency, aircraft) "
            f"values (gen_random_uuid(), gen_random_uuid(), 'charge', {amount}, 'EUR', 'EC-TAA')",
        )
