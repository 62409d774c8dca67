"""Exporting: rows stream in groups, and what the database refuses is an error of the database's."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from common.schema import UsageEvent
from sync import changeset, export, files, seal
from sync.apply import apply_all
from tests.sync.ends import End, add_events, carry, run, scalar_list
from tests.sync.packed import blocks_of

pytestmark = pytest.mark.postgres

AWKWARD = r"""
insert into usage_event (id, user_id, kind, at, data, aircraft, flight)
select ('01a1961f-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
    case when n % 3 = 0 then gen_random_uuid() end,
    (array['play', '', E'tab\tand\nline', E'back\\slash', '\N', '\.', 'ü'])[n % 7 + 1],
    case n % 4 when 0 then 'infinity' when 1 then '2026-11-23 12:00:00.5+00'
    else '2026-11-23 12:00:00.123456+00'::timestamptz + n * interval '1 second' end,
    jsonb_build_object('n', n, 'said', E'a "b"\n\\'), 'EC-TAA', 'TA1'
from generate_series(1, 100) n
"""


def blocks(end: End) -> list[changeset.Block]:
    (path,) = files.outbox(end.settings).rglob("*.cs")
    return blocks_of(path)


def test_rows_arrive_as_they_were_in_however_many_groups(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "GROUP_ROWS", 30)
    run(aircraft, AWKWARD)
    seal.seal_all(aircraft.engine, aircraft.settings)
    assert len([one for one in blocks(aircraft) if one.column == "id"]) == 4
    carry(aircraft, hangar)
    assert apply_all(hangar.engine, hangar.settings, "EC-TAA").rows == 100
    rows = "select e::text from usage_event e order by id"
    assert scalar_list(hangar, rows) == scalar_list(aircraft, rows)


def test_deleted_keys_go_in_groups_too(
    hangar: End, aircraft: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(
        hangar,
        "insert into item (id, kind, title) "
        "select gen_random_uuid(), 'film', '{}' from generate_series(1, 8)",
    )
    seal.seal_all(hangar.engine, hangar.settings)
    monkeypatch.setattr(export, "GROUP_ROWS", 3)
    run(hangar, "delete from item")
    seal.seal_all(hangar.engine, hangar.settings)
    target = files.inbox(aircraft.settings, files.HANGAR)
    target.parent.mkdir(parents=True)
    files.outbox(hangar.settings).rename(target)
    assert apply_all(aircraft.engine, aircraft.settings, files.HANGAR).rows == 16
    assert scalar_list(aircraft, "select id from item") == []


def test_a_group_ends_where_its_bytes_become_many(
    aircraft: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "GROUP_BYTES", 500)
    add_events(aircraft, 20)
    seal.seal_all(aircraft.engine, aircraft.settings)
    assert 1 < len([one for one in blocks(aircraft) if one.column == "id"]) < 20


def test_rows_that_cannot_be_had_are_a_database_error_that_says_why(aircraft: End) -> None:
    header = changeset.Header(
        "use", "e", 1, 1, changeset.GENESIS, "0001", "EC-TAA", "c",
        (changeset.Table("usage_event", ("id", "nothing"), 1, 0),),
    )  # fmt: skip
    with aircraft.engine.connect() as connection:
        connection.execute(text(export.CLAIMED))
        with pytest.raises(DBAPIError, match=r"column t\.nothing does not exist"):
            export.write(connection, aircraft.settings.state_dir / "x.cs", header, [UsageEvent])
