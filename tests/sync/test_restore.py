"""A hangar that was destroyed and restored: what it had acknowledged is there, and both ways go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from sync import ack, publish, seal, session, state
from sync import hangar as hangar_side
from tests.conftest import PostgresServer
from tests.sync.ends import End, add_events, ids, link_to, run, scalar

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

NAME = "EC-TAA"
HERE = "(pg_current_wal_insert_lsn() - '0/0')::bigint"


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, f"insert into aircraft (name, tower, airline) values ('{NAME}', 'a', 'TA')")
    publish.publish(hangar.engine, hangar.settings)
    return hangar


@pytest.fixture
def archived(hangar: End) -> Iterator[Callable[[str], None]]:
    """Says how far the hangar's database is archived: an expression of SQL."""
    as_it_is = scalar(hangar, "select pg_get_functiondef('sync.archived'::regproc)")

    def say(where: str) -> None:
        run(
            hangar,
            "create or replace function sync.archived() returns bigint language sql stable as "
            f"$$ select {where} $$",
        )

    yield say
    run(hangar, str(as_it_is))


def item(end: End, title: str) -> None:
    run(
        end,
        "insert into item (id, kind, title, published) values "
        f"(gen_random_uuid(), 'film', '{json.dumps({'en': title})}', true)",
    )


def titles(end: End) -> list[str]:
    with end.engine.connect() as connection:
        return list(connection.scalars(text("select title->>'en' from item order by 1")))


def land(aircraft: End, hangar: End) -> list[str]:
    """One landing: heartbeat, synchronisation, what was pushed taken in; returns what is wrong."""
    body = json.loads(json.dumps(state.local_state(aircraft.engine, aircraft.settings)))
    with hangar.engine.begin() as connection:
        connection.execute(
            text("update aircraft set last_body = cast(:body as jsonb)"), {"body": json.dumps(body)}
        )
    hangar_side.refresh(hangar.engine, hangar.settings)
    report = session.run(aircraft.settings, aircraft.engine, link=link_to(hangar, NAME))
    taken_in = hangar_side.ingest(hangar.engine, hangar.settings, NAME)
    return report.problems + taken_in.problems


def acknowledge(aircraft: End, hangar: End) -> dict[str, int]:
    """A heartbeat's acknowledgements, taken; returns how far each stream is acknowledged."""
    acks = state.acks(hangar.engine, NAME)
    assert ack.accept(aircraft.engine, aircraft.settings, acks) == []
    return {stream: head["seq"] for stream, head in acks.items()}


def kept(aircraft: End) -> int:
    return len(list((aircraft.settings.sync_dir / "outbox" / "use").rglob("*.cs")))


def test_an_aircraft_forgets_only_what_the_archive_holds(
    aircraft: End, hangar: End, archived: Callable[[str], None]
) -> None:
    archived(HERE)
    add_events(aircraft, 3)
    assert land(aircraft, hangar) == []
    archived(str(scalar(hangar, f"select {HERE}")))
    add_events(aircraft, 2)
    assert land(aircraft, hangar) == []
    # The first heartbeat after it only notes where in the WAL it lies.
    assert acknowledge(aircraft, hangar) == {}
    assert kept(aircraft) == 2
    archived("null::bigint")
    assert acknowledge(aircraft, hangar) == {}
    archived(HERE)
    assert acknowledge(aircraft, hangar) == {"use": 2}
    assert kept(aircraft) == 0


def test_what_was_applied_and_not_acknowledged_is_not_due_again(
    aircraft: End, hangar: End, archived: Callable[[str], None]
) -> None:
    archived("null::bigint")
    add_events(aircraft, 3)
    assert land(aircraft, hangar) == []
    body = state.local_state(aircraft.engine, aircraft.settings)
    assert body["pushed"]
    due = state.due(hangar.engine, hangar.settings, NAME, body)
    assert ("up" in due.names, due.unapplied) == (False, False)
    add_events(aircraft, 1)
    seal.seal_all(aircraft.engine, aircraft.settings)
    body = state.local_state(aircraft.engine, aircraft.settings)
    assert state.due(hangar.engine, hangar.settings, NAME, body).unapplied


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("000000010000000000000003", 0x4000000),
        ("0000000200000001000000FF", 0x200000000),
        ("000000010000000000000003.00000028.backup", 0x4000000),
        ("000000010000000000000003.partial", None),
        ("00000002.history", None),
        (None, None),
    ],
)
def test_the_last_archived_segment_says_how_far_the_archive_goes(
    hangar: End, last: str | None, expected: int | None
) -> None:
    with hangar.engine.connect() as connection:
        for statement in (
            "create schema other",
            "create table other.pg_stat_archiver as select cast(:last as text) last_archived_wal",
            "create function other.current_setting(name text) returns text language sql as "
            "$$ select case name when 'archive_mode' then 'on' else '16MB' end $$",
            "set local search_path = other, pg_catalog",
        ):
            connection.execute(text(statement), {"last": last} if ":last" in statement else {})
        found = connection.scalar(text("select sync.archived()"))
        connection.rollback()
    assert found == expected


class TestRestored:
    """The hangar's database as it was when the last WAL was archived; everything else is gone."""

    @pytest.fixture
    def restore(
        self, hangar: End, postgres_server: PostgresServer, tmp_path: Path
    ) -> Iterator[tuple[Callable[[], None], Callable[[], End]]]:
        """What archives the database, and what restores it on a new machine."""
        name = f"restored_{hangar.engine.url.database}"
        made: list[Engine] = []

        def archive() -> None:
            hangar.engine.dispose()
            postgres_server.run(f"create database {name} template {hangar.engine.url.database}")

        def restored() -> End:
            engine = create_engine(postgres_server.url(name))
            made.append(engine)
            new = End(hangar.settings.model_copy(update={"state_dir": tmp_path / "new"}), engine)
            # PostgreSQL begins another timeline when it comes out of an archive.
            run(new, "update sync.epoch set timeline = '00000000'")
            publish.publish(new.engine, new.settings)
            return new

        yield archive, restored
        for engine in made:
            engine.dispose()
        postgres_server.run(f"drop database if exists {name}")

    def test_every_event_is_there_exactly_once(
        self,
        aircraft: End,
        hangar: End,
        archived: Callable[[str], None],
        restore: tuple[Callable[[], None], Callable[[], End]],
    ) -> None:
        archive, restored = restore
        add_events(aircraft, 3)
        assert land(aircraft, hangar) == []
        assert acknowledge(aircraft, hangar) == {"use": 1}
        archive()
        archived(str(scalar(hangar, f"select {HERE}")))
        add_events(aircraft, 4)
        assert land(aircraft, hangar) == []
        acknowledge(aircraft, hangar)
        new = restored()
        assert len(ids(new)) == 3
        body = state.local_state(aircraft.engine, aircraft.settings)
        assert "up" in state.due(new.engine, new.settings, NAME, body).names
        for _ in range(2):
            add_events(aircraft, 1)
            assert land(aircraft, new) == []
        assert ids(new) == ids(aircraft)
        assert acknowledge(aircraft, new) == {"use": 4}
        assert kept(aircraft) == 0

    def test_an_aircraft_goes_over_to_what_the_restored_hangar_says(
        self,
        aircraft: End,
        hangar: End,
        restore: tuple[Callable[[], None], Callable[[], End]],
    ) -> None:
        archive, restored = restore
        item(hangar, "kept")
        assert land(aircraft, hangar) == []
        archive()
        item(hangar, "made in the last minute")
        assert land(aircraft, hangar) == []
        assert titles(aircraft) == ["kept", "made in the last minute"]
        new = restored()
        item(new, "made after")
        # The first landing takes the new history over, the second finds nothing more.
        for _ in range(2):
            assert land(aircraft, new) == []
            assert titles(aircraft) == ["kept", "made after"]
        item(new, "made later")
        assert land(aircraft, new) == []
        assert titles(aircraft) == ["kept", "made after", "made later"]
        body = state.local_state(aircraft.engine, aircraft.settings)
        assert state.due(new.engine, new.settings, NAME, body).names == []

    def test_the_same_database_is_no_new_history(self, hangar: End) -> None:
        item(hangar, "one")
        seal.seal_all(hangar.engine, hangar.settings)
        epochs = "select string_agg(epoch::text, ' ' order by stream) from sync.epoch"
        before = scalar(hangar, epochs)
        item(hangar, "two")
        seal.seal_all(hangar.engine, hangar.settings)
        assert scalar(hangar, epochs) == before
