"""What tables take, and how much of it is spare."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from sync import space
from tests.sync.ends import End, add_events, run

pytestmark = pytest.mark.postgres

TABLE = "public.usage_event"


def vacuum(end: End, how: str = "") -> None:
    with end.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"vacuum {how} {TABLE}"))


@pytest.mark.parametrize(
    ("rows", "size", "count"),
    [(0, 0, 0), (1, 100, 1), (81, 8100, 1), (82, 8200, 2), (10, 100_000, 13)],
)
def test_rows_fill_whole_pages(rows: int, size: int, count: int) -> None:
    assert space.pages(rows, size) == count


@pytest.mark.parametrize("width", [0, 100, 900])
def test_what_is_spare_is_what_was_removed(aircraft: End, width: int) -> None:
    run(
        aircraft,
        "insert into usage_event (id, kind, aircraft, data) select gen_random_uuid(), 'play', 'EC-TAA', "
        f"jsonb_build_object('a', repeat('x', {width})) from generate_series(1, 20000)",
        # What is recorded cannot be removed.
        "delete from sync.dirty",
    )
    vacuum(aircraft, "full")
    whole = space.measure(aircraft.engine, TABLE)
    assert (whole.rows, whole.spare / whole.taken) == (20_000, pytest.approx(0, abs=0.02))
    # Here and there, too: what is spare need not be whole pages.
    run(
        aircraft,
        "delete from usage_event where id in (select id from usage_event order by id limit 6000)",
    )
    run(aircraft, "delete from usage_event where substr(id::text, 36) < '4'")
    for how in ("", "full"):
        left = space.measure(aircraft.engine, TABLE)
        share = left.rows / whole.rows
        assert left.needed == pytest.approx(whole.needed * share, rel=0.05)
        vacuum(aircraft, how)
    packed = space.measure(aircraft.engine, TABLE)
    assert packed.taken == pytest.approx(left.needed, rel=0.05)


def test_an_empty_table_needs_nothing(aircraft: End) -> None:
    add_events(aircraft, 100)
    run(aircraft, "delete from sync.dirty", "delete from usage_event")
    found = space.measure(aircraft.engine, TABLE)
    assert (found.rows, found.needed) == (0, 0)
    assert found.spare == found.taken > 8192
