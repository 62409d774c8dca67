"""Sealing: every committed change travels once, in numbered files that a crash cannot spoil."""

from __future__ import annotations

import threading
import time
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from common import migrate
from sync import changeset, files, seal
from tests.sync.ends import End, PowerCut, add_events, cut_at, ids, run, scalar
from tests.sync.packed import blocks_of, values_of

pytestmark = pytest.mark.postgres


def sealed_files(end: End) -> list[changeset.Header]:
    found = []
    for path in sorted(files.outbox(end.settings).rglob("*.cs")):
        with path.open("rb") as file:
            found.append(changeset.check(file, path.name)[0])
    return found


def sent_keys(end: End, table: str = "usage_event") -> list[UUID]:
    return sorted(
        UUID(value.decode())
        for path in files.outbox(end.settings).rglob("*.cs")
        for block in blocks_of(path)
        if (block.table.table, block.column) == (table, "id")
        for value in values_of(block)
    )


def titles(end: End, seq: int) -> list[bytes]:
    path = next(files.outbox(end.settings).rglob(changeset.file_name(seq)))
    blocks = [block for block in blocks_of(path) if block.column == "title"]
    return [value for block in blocks for value in values_of(block)]


def test_a_batch_holds_the_rows_and_is_numbered_and_chained(aircraft: End) -> None:
    for count in (3, 2):
        add_events(aircraft, count)
        seal.seal(aircraft.engine, aircraft.settings, "use")
    first, second = sealed_files(aircraft)
    assert [first.seq, second.seq] == [1, 2]
    assert first.prev_sha256 == changeset.GENESIS
    assert second.prev_sha256 == scalar(aircraft, "select sha256 from sync.batch where seq = 1")
    assert (first.node, first.schema) == ("EC-TAA", migrate.head())
    assert sent_keys(aircraft) == ids(aircraft)


def test_nothing_changed_seals_nothing(aircraft: End) -> None:
    add_events(aircraft, 1)
    assert len(seal.seal_all(aircraft.engine, aircraft.settings)) == 1
    assert seal.seal_all(aircraft.engine, aircraft.settings) == []


def test_a_row_changed_many_times_travels_once_as_it_is_now(hangar: End) -> None:
    run(
        hangar,
        "insert into item (id, kind, title) values (gen_random_uuid(), 'film', '{\"en\": \"A\"}')",
        'update item set title = \'{"en": "B"}\'',
        'update item set title = \'{"en": "C\\tD"}\'',
    )
    (batch,) = seal.seal(hangar.engine, hangar.settings, "cat")
    assert batch.rows == 1
    assert titles(hangar, batch.seq) == [b'{"en": "C\\\\tD"}']


def test_a_large_change_is_cut_into_batches_with_parents_first(hangar: End) -> None:
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    seal.seal(hangar.engine, hangar.settings, "cat")
    run(
        hangar,
        "insert into item (id, kind, title) "
        "select gen_random_uuid(), 'film', '{}' from generate_series(1, 5)",
        "insert into asset (id, item_id, role, path, sha256, size, mime) "
        "select gen_random_uuid(), id, 'poster', 'p', repeat('a', 64), 1, 'x' from item",
    )
    seal.seal(hangar.engine, hangar.settings, "cat", rows=4)
    counts = [
        [(table.table, table.upserts) for table in header.tables if table.upserts]
        for header in sealed_files(hangar)
    ]
    assert counts[1:] == [[("item", 4)], [("item", 1), ("asset", 3)], [("asset", 2)]]


def test_a_batch_has_its_rows_as_they_were_when_it_was_begun(hangar: End) -> None:
    run(
        hangar,
        "insert into item (id, kind, title) select gen_random_uuid(), 'film', '{\"en\": \"A\"}' "
        "from generate_series(1, 3)",
    )
    before = ids(hangar, "item")

    def somebody_writes(step: str) -> None:
        if step == "claimed":
            run(
                hangar,
                f"delete from item where id = '{before[0]}'",
                f"update item set title = '{{\"en\": \"B\"}}' where id = '{before[1]}'",
                "insert into item (id, kind, title) values (gen_random_uuid(), 'film', '{}')",
            )
            with hangar.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:
                own.execute(text("vacuum item"))

    seal.seal(hangar.engine, hangar.settings, "cat", at=somebody_writes)
    assert sent_keys(hangar, "item") == before
    assert titles(hangar, 1) == [b'{"en": "A"}'] * 3
    seal.seal(hangar.engine, hangar.settings, "cat")
    items = sealed_files(hangar)[1].tables[0]
    assert (items.table, items.upserts, items.deletes) == ("item", 2, 1)
    assert sorted(titles(hangar, 2)) == [b'{"en": "B"}', b"{}"]


def test_of_a_table_what_was_recorded_first_goes_first(aircraft: End) -> None:
    users = [UUID(int=number) for number in (3, 1, 2)]
    for user in users:
        run(
            aircraft,
            "insert into user_event (id, user_id, field, value, hlc, aircraft) "
            f"values ('{user}', '{user}', 'name', '\"Ada\"', 1, 'EC-TAA')",
        )
    # What is written anew lies behind the others.
    run(aircraft, f"update sync.dirty set at = at where pk = '{users[0]}'")
    with aircraft.engine.connect() as connection:
        lying = connection.scalars(text("select pk from sync.dirty where batch is null")).all()
    assert lying == [*users[1:], users[0]]
    seal.seal(aircraft.engine, aircraft.settings, "usr", rows=1)
    with aircraft.engine.connect() as connection:
        sealed = connection.scalars(text("select pk from sync.dirty order by batch")).all()
    assert sealed == users


def test_rows_too_large_for_one_batch_go_in_several(
    aircraft: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "RAW_BYTES", 1000)
    add_events(aircraft, 40)
    batches = seal.seal(aircraft.engine, aircraft.settings, "use")
    assert len(batches) > 4
    assert sent_keys(aircraft) == ids(aircraft)


def test_who_seals_does_not_follow_those_who_go_on_writing(aircraft: End) -> None:
    add_events(aircraft, 5)

    def somebody_writes(step: str) -> None:
        if step == "published":
            add_events(aircraft, 1)
            assert scalar(aircraft, "select count(*) from sync.batch") < 9, "this would never end"

    (batch,) = seal.seal(aircraft.engine, aircraft.settings, "use", at=somebody_writes)
    assert batch.rows == 5
    (batch,) = seal.seal(aircraft.engine, aircraft.settings, "use", rows=1)
    assert batch.rows == 1
    assert sent_keys(aircraft) == ids(aircraft)


def test_no_batch_follows_one_that_a_crash_left_unfinished(aircraft: End) -> None:
    add_events(aircraft, 5)
    with pytest.raises(PowerCut):
        seal.seal(aircraft.engine, aircraft.settings, "use", at=cut_at("committed"))
    add_events(aircraft, 2)
    # Whoever seals next finishes it first, also when it comes right behind the one that died.
    (batch,) = seal.seal(aircraft.engine, aircraft.settings, "use")
    assert batch.seq == 2
    assert [header.seq for header in sealed_files(aircraft)] == [1, 2]
    assert sent_keys(aircraft) == ids(aircraft)


@pytest.mark.parametrize("step", ["claimed", "written", "committed", "renamed", "published"])
def test_killed_at_any_step_the_next_run_sends_every_row_once(aircraft: End, step: str) -> None:
    add_events(aircraft, 5)
    with pytest.raises(PowerCut):
        seal.seal(aircraft.engine, aircraft.settings, "use", at=cut_at(step))
    add_events(aircraft, 2)
    seal.seal_all(aircraft.engine, aircraft.settings)
    assert sent_keys(aircraft) == ids(aircraft)
    assert [header.seq for header in sealed_files(aircraft)] == list(
        range(1, len(sealed_files(aircraft)) + 1)
    )
    assert list(files.tmp(aircraft.settings).iterdir()) == []
    assert scalar(aircraft, "select count(*) from sync.batch where state = 'sealed'") == 0


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_sealed_file_that_did_not_reach_the_disk_is_sealed_again_under_its_number(
    aircraft: End, damage: str
) -> None:
    add_events(aircraft, 5)
    with pytest.raises(PowerCut):
        seal.seal(aircraft.engine, aircraft.settings, "use", at=cut_at("committed"))
    (written,) = files.tmp(aircraft.settings).iterdir()
    if damage == "lost":
        written.unlink()
    else:
        written.chmod(0o600)
        written.write_bytes(written.read_bytes()[:40])
    seal.seal_all(aircraft.engine, aircraft.settings)
    assert [header.seq for header in sealed_files(aircraft)] == [1]
    assert sent_keys(aircraft) == ids(aircraft)


def test_the_hangar_forgets_recorded_keys_once_the_file_is_published(hangar: End) -> None:
    run(hangar, "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')")
    seal.seal_all(hangar.engine, hangar.settings)
    assert scalar(hangar, "select count(*) from sync.dirty") == 0


WRITERS, ROUNDS = 8, 12
LATE = "insert into usage_event (id, kind, aircraft) values (gen_random_uuid(), 'late', 'EC-TAA')"


def write_slowly(engine: Engine, writer: int) -> None:
    """Commit, roll back and commit late, as real traffic does."""
    for number in range(ROUNDS):
        with engine.connect() as connection:
            connection.execute(
                text(
                    "insert into usage_event (id, kind, aircraft, at) "
                    "select gen_random_uuid(), 'play', 'EC-TAA', clock_timestamp() "
                    "from generate_series(1, 3)"
                )
            )
            if (number + writer) % 4 == 0:
                # The late one: its numbers are taken, others commit, the reader looks.
                connection.execute(text("select pg_sleep(0.02)"))
            if (number * 7 + writer) % 9 == 0:
                connection.rollback()
            else:
                connection.commit()


def test_changes_that_commit_late_are_never_left_behind_and_a_watermark_would_lose_them(
    aircraft: End,
) -> None:
    seen: set[int] = set()
    last = 0
    writers = [
        threading.Thread(target=write_slowly, args=(aircraft.engine, number))
        for number in range(WRITERS)
    ]

    def look() -> None:
        nonlocal last
        seal.seal(aircraft.engine, aircraft.settings, "use")
        with aircraft.engine.connect() as connection:
            fresh = connection.scalars(
                text("select id from sync.dirty where id > :last"), {"last": last}
            ).all()
        seen.update(fresh)
        last = max(seen, default=0)

    for writer in writers:
        writer.start()
    # One transaction is certainly late, however fast the others and the reader are today.
    with aircraft.engine.connect() as late:
        late.execute(text(LATE))
        add_events(aircraft, 1)
        look()
        late.commit()
    deadline = time.monotonic() + 30
    while any(writer.is_alive() for writer in writers) and time.monotonic() < deadline:
        look()
    for writer in writers:
        writer.join()
    look()

    committed = ids(aircraft)
    assert len(committed) > WRITERS * ROUNDS
    assert sent_keys(aircraft) == committed  # none lost, none twice
    with aircraft.engine.connect() as connection:
        everything = set(connection.scalars(text("select id from sync.dirty")).all())
    assert everything - seen, "`id > last` must lose some of it, or this test proves nothing"
