"""How far the two ends are apart, as people are told: rows, bytes, and since when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from sync import ack, behind, epoch, seal, snapshot, state
from sync.behind import Lacking
from tests.sync.ends import End, add_events, run

pytestmark = pytest.mark.postgres
SURVEY = "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')"


def waiting(end: End) -> dict[str, dict[str, object]]:
    with end.engine.connect() as connection:
        return behind.waiting(connection, end.settings.role)


def recorded_at(end: End, at: str, where: str = "true") -> None:
    run(end, f"update sync.dirty set at = '{at}' where {where}")


def test_nothing_waits_in_a_new_database(aircraft: End) -> None:
    assert waiting(aircraft)["use"] == {
        "rows": 0,
        "bytes": 0,
        "row_bytes": None,
        "oldest_at": None,
    }


def test_what_was_sealed_waits_until_it_is_acknowledged(aircraft: End) -> None:
    add_events(aircraft, 30)
    recorded_at(aircraft, "2026-01-01 10:00+00")
    (first,) = seal.seal_all(aircraft.engine, aircraft.settings)
    add_events(aircraft, 10)
    recorded_at(aircraft, "2026-01-01 11:00+00", "batch is null")
    (second,) = seal.seal_all(aircraft.engine, aircraft.settings)
    found = waiting(aircraft)["use"]
    assert (found["rows"], found["bytes"]) == (40, first.bytes + second.bytes)
    assert found["row_bytes"] == pytest.approx((first.bytes + second.bytes) / 40, abs=1)
    assert found["oldest_at"] == "2026-01-01T10:00:00+00:00"
    acked = {"epoch": state.local_state(aircraft.engine, aircraft.settings)["up"]["use"]["epoch"]}
    acked |= {"seq": first.seq, "sha256": first.sha256}
    assert ack.accept(aircraft.engine, aircraft.settings, {"use": acked}) == []
    found = waiting(aircraft)["use"]
    assert (found["rows"], found["bytes"]) == (10, second.bytes)
    assert found["oldest_at"] == "2026-01-01T11:00:00+00:00"


def test_the_oldest_may_be_in_any_change_set(aircraft: End) -> None:
    for day in (2, 1):
        add_events(aircraft, 1)
        recorded_at(aircraft, f"2026-01-0{day} 10:00+00", "batch is null")
        seal.seal_all(aircraft.engine, aircraft.settings)
    assert waiting(aircraft)["use"]["oldest_at"] == "2026-01-01T10:00:00+00:00"


def test_what_is_not_sealed_yet_is_as_old_as_its_oldest_row(aircraft: End) -> None:
    add_events(aircraft, 3)
    # A transaction that began first may write last.
    add_events(aircraft, 1)
    recorded_at(aircraft, "2026-01-02 10:00+00", "id = (select max(id) from sync.dirty)")
    told = state.local_state(aircraft.engine, aircraft.settings)["up"]["use"]
    assert (told["unsealed_rows"], told["rows"], told["bytes"]) == (4, 0, 0)
    assert told["oldest_at"] == "2026-01-02T10:00:00+00:00"


def test_what_an_aircraft_lacks_is_counted_from_where_it_stands(hangar: End) -> None:
    sizes = []
    for day in (1, 2, 3):
        run(hangar, SURVEY)
        sizes += seal.seal_all(
            hangar.engine, hangar.settings, clock=lambda day=day: datetime(2026, 1, day, tzinfo=UTC)
        )
    with hangar.engine.connect() as connection:
        found = behind.lacking(connection, [("cat", 0), ("cat", 2), ("cat", 3), ("cat", 2)])
    assert found == {
        ("cat", 0): Lacking(
            3, 3, sum(one.bytes for one in sizes), datetime(2026, 1, 1, tzinfo=UTC)
        ),
        ("cat", 2): Lacking(1, 1, sizes[2].bytes, datetime(2026, 1, 3, tzinfo=UTC)),
    }


def test_a_history_that_has_only_its_snapshot_is_lacking_where_it_is_not_followed(
    hangar: End,
) -> None:
    run(hangar, SURVEY)
    seal.seal_all(hangar.engine, hangar.settings)
    with seal.alone(hangar.engine, "cat"):
        epoch.begin(hangar.engine, hangar.settings, "cat", "its disk was of yesterday")
    snapshot.seal(
        hangar.engine, hangar.settings, "cat", clock=lambda: datetime(2026, 1, 4, tzinfo=UTC)
    )
    with hangar.engine.connect() as connection:
        found = behind.lacking(connection, [("cat", -1), ("cat", 0)])
    (one,) = found.values()
    assert (one.change_sets, one.rows) == (1, 1)
    assert one.bytes > 0
    assert (list(found), one.oldest_at) == ([("cat", -1)], datetime(2026, 1, 4, tzinfo=UTC))


def test_another_history_of_the_hangar_is_not_counted(hangar: End) -> None:
    run(hangar, SURVEY)
    seal.seal_all(hangar.engine, hangar.settings)
    with hangar.engine.begin() as connection:
        connection.execute(text("update sync.epoch set epoch = gen_random_uuid()"))
        assert behind.lacking(connection, [("cat", 0)]) == {}
    with hangar.engine.connect() as connection:
        assert behind.lacking(connection, []) == {}
