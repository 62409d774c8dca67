"""Schemas that differ: both ends read each other across releases, or wait, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory

from common import migrate, migrations
from common.schema import Item
from sync import apply, backfill, changeset, epoch, files, held, setup, skew, state, users
from tests.sync.ends import End, add_events, ids, run, scalar, scalar_list
from tests.sync.landing import land, settled
from tests.sync.packed import Packer, Rows

pytestmark = pytest.mark.postgres

NEWER = "9999"
EVENT = ("id", "kind", "aircraft")
ITEM = ("id", "kind", "title")


def ingest(end: End, peer: str) -> apply.Outcome:
    folds = {"user_event": users.fold} if end.settings.role == "hangar" else {}
    return apply.apply_all(end.engine, end.settings, peer, folds=folds)


def events(*more: object, additive: tuple[str, ...] = ()) -> Rows:
    """Two events; with a further value, they have a column `mood`."""
    rows = [(uuid4(), "play", "EC-TAA", *more) for _ in range(2)]
    return Rows("usage_event", (*EVENT, *(["mood"] if more else [])), rows, additive=additive)


@pytest.fixture
def newer(hangar: End) -> Packer:
    """An aircraft that is a release ahead of the hangar."""
    return Packer(hangar, "EC-TAA", "use", NEWER)


@pytest.fixture
def mood(hangar: End) -> Iterator[None]:
    """Takes the column off again that a test's migration of the hangar added."""
    yield
    run(hangar, "alter table usage_event drop column if exists mood")


def migrated(hangar: End) -> None:
    run(hangar, "alter table usage_event add column mood text")


def test_what_newest_says_is_what_alembic_finds() -> None:
    assert migrations.newest() == migrate.head()
    known = [one.revision for one in ScriptDirectory.from_config(migrate.config()).walk_revisions()]
    assert set(migrations.SHIPPED) <= set(known)
    assert list(migrations.SHIPPED) == sorted(migrations.SHIPPED)


class TestOlder:
    """A sender whose release is behind."""

    @pytest.mark.parametrize("schema", migrations.SHIPPED[-skew.READ_BACK :])
    def test_two_releases_behind_is_read(self, hangar: End, schema: str) -> None:
        Packer(hangar, "EC-TAA", "use", schema).send(events())
        outcome = ingest(hangar, "EC-TAA")
        assert (outcome.rows, outcome.problems) == (2, [])
        assert scalar_list(hangar, "select flight from usage_event") == ["", ""]

    def test_more_are_refused_in_words(self, hangar: End) -> None:
        old = migrations.SHIPPED[-skew.READ_BACK - 1]
        path = Packer(hangar, "EC-TAA", "use", old).send(events())
        (problem,) = ingest(hangar, "EC-TAA").problems
        assert f"it is of schema {old}, 3 releases before {migrate.head()} here" in problem
        assert "Bring the sender to a newer release" in problem
        assert path.exists()
        assert ids(hangar) == []

    def test_what_was_sealed_by_such_a_release_comes_anew_after_it(
        self, aircraft: End, hangar: End
    ) -> None:
        run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a')")
        version = "update alembic_version set version_num = '{}'".format
        run(aircraft, version(migrations.SHIPPED[-skew.READ_BACK - 1]))
        try:
            add_events(aircraft, 3)
            (problem,) = land(aircraft, hangar).problems
        finally:
            run(aircraft, version(migrate.head()))
        assert "Bring the sender to a newer release" in problem
        assert ids(hangar) == []
        land(aircraft, hangar)
        assert ids(hangar) == ids(aircraft)
        settled(aircraft, hangar)
        assert held.held(hangar.engine) == {}

    def test_what_is_acknowledged_is_not_looked_at_for_that(
        self, aircraft: End, hangar: End
    ) -> None:
        run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a')")
        add_events(aircraft, 3)
        land(aircraft, hangar)
        (sealed,) = files.outbox(aircraft.settings).glob("use/*/*.cs")
        settled(aircraft, hangar)
        # The power went before its name was gone for good, and the disk is not what it was.
        sealed.write_bytes(b"anything")
        epoch.follow(aircraft.engine, aircraft.settings, "use")
        assert ids(hangar) == ids(aircraft)

    def test_several_migrations_of_one_release_count_once(
        self, hangar: End, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(skew, "newest", lambda: "0099")
        run(hangar, "update alembic_version set version_num = '0099'")
        try:
            Packer(hangar, "EC-TAA", "use", migrations.SHIPPED[-1]).send(events())
            assert ingest(hangar, "EC-TAA").problems == []
        finally:
            run(hangar, f"update alembic_version set version_num = '{migrate.head()}'")

    def test_a_column_that_did_not_come_is_made_of_those_that_did(
        self, aircraft: End, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(Item.__table__.c.priority.info, "fill", "length(kind) * 10")
        down, key = Packer(aircraft, "hangar", "cat"), uuid4()
        down.send(Rows("item", ITEM, [(key, "film", "{}"), (uuid4(), "opera", "{}")]))
        assert ingest(aircraft, "hangar").quarantined == 1
        assert scalar_list(aircraft, "select priority from item") == [40]
        down.send(Rows("item", (*ITEM, "priority"), [(key, "film", "{}", 7)]))
        ingest(aircraft, "hangar")
        assert scalar_list(aircraft, "select priority from item") == [7]


class TestNewer:
    """A sender whose release is ahead."""

    def test_what_is_known_is_applied_where_the_rest_may_be_left_out(
        self, hangar: End, newer: Packer
    ) -> None:
        newer.send(events("glad", additive=("mood",)))
        outcome = ingest(hangar, "EC-TAA")
        assert (outcome.rows, outcome.problems, outcome.waiting) == (2, [], [])
        assert scalar(hangar, "select columns from sync.need") == ["mood"]
        # There is no use in asking before there is a place for it.
        assert backfill.needs(hangar.engine, "EC-TAA") == {}

    @pytest.mark.parametrize(
        "rows", [events("glad"), Rows("menu", ("id",), [(uuid4(),)])], ids=["column", "table"]
    )
    def test_what_may_not_be_left_out_waits(self, hangar: End, newer: Packer, rows: Rows) -> None:
        path = newer.send(rows)
        outcome = ingest(hangar, "EC-TAA")
        assert (outcome.batches, outcome.problems) == (0, [])
        (why,) = outcome.waiting
        assert f"waits for schema {NEWER}" in why
        assert scalar(hangar, "select state from sync.held") == "waiting_schema"
        assert "deploy the newer release" in held.held(hangar.engine)["EC-TAA"]["use"]["why"]
        assert path.exists()
        assert scalar(hangar, "select count(*) from sync.applied") == 0

    def test_what_waits_is_applied_by_itself_after_the_migration(
        self, hangar: End, newer: Packer, mood: None
    ) -> None:
        newer.send(events("glad"))
        newer.send(events("sad"))
        ingest(hangar, "EC-TAA")
        migrated(hangar)
        assert ingest(hangar, "EC-TAA").batches == 2
        assert sorted(scalar_list(hangar, "select mood from usage_event")) == (
            ["glad", "glad", "sad", "sad"]
        )
        assert held.held(hangar.engine) == {}

    def test_what_waits_is_taken_in_after_setup_and_not_at_each_heartbeat(
        self, hangar: End, newer: Packer
    ) -> None:
        newer.send(events("glad"))
        body = {"up": {"use": {"epoch": str(newer.epoch), "sealed": 1}}, "pushed": True}

        def unapplied() -> bool:
            return state.due(hangar.engine, hangar.settings, "EC-TAA", body).unapplied

        assert unapplied()
        ingest(hangar, "EC-TAA")
        assert not unapplied()
        setup.setup(hangar.engine, "hangar")
        assert unapplied()

    def test_a_quarantined_row_keeps_what_there_is_no_place_for(
        self, hangar: End, newer: Packer, mood: None
    ) -> None:
        rows = [(uuid4(), None, "EC-TAA", "glad")]
        newer.send(Rows("usage_event", (*EVENT, "mood"), rows, additive=("mood",)))
        assert ingest(hangar, "EC-TAA").quarantined == 1
        migrated(hangar)
        run(hangar, 'update sync.quarantine set row = row || \'{"kind": "play"}\'')
        newer.send(events("sad", additive=("mood",)))
        ingest(hangar, "EC-TAA")
        assert sorted(scalar_list(hangar, "select mood from usage_event")) == ["glad", "sad", "sad"]

    @pytest.mark.parametrize(
        ("schema", "name", "reason"),
        [
            (migrate.head(), "mood", "columns mood of usage_event is not in the schema here"),
            (NEWER, 'mood" text, "x', "expected names of columns"),
            ("newest", "mood", "schema: expected four digits"),
        ],
    )
    def test_what_no_sender_says_is_refused(
        self, hangar: End, schema: str, name: str, reason: str
    ) -> None:
        packer = Packer(hangar, "EC-TAA", "use", schema)
        rows = [(uuid4(), "play", "EC-TAA", "glad")]
        packer.send(Rows("usage_event", (*EVENT, name), rows, additive=(name,)))
        (problem,) = ingest(hangar, "EC-TAA").problems
        assert reason in problem
        assert ids(hangar) == []


def times(asked: dict[str, str]) -> dict[str, datetime]:
    return {table: datetime.fromisoformat(since) for table, since in asked.items()}


class TestBackfill:
    """Columns that were left out are asked for once there is a place for them."""

    def test_the_hangar_asks_and_the_aircraft_records_its_rows_once(
        self, aircraft: End, hangar: End, newer: Packer, mood: None
    ) -> None:
        rows = events("glad", additive=("mood",))
        newer.send(rows)
        ingest(hangar, "EC-TAA")
        migrated(hangar)
        asked = backfill.asked_of(hangar.engine, "EC-TAA", {})
        assert list(asked) == ["usage_event"]
        add_events(aircraft, 3)
        run(aircraft, "delete from sync.dirty")
        for expected in (["usage_event"], []):
            found = backfill.answer(aircraft.engine, aircraft.settings, times(asked))
            assert found == expected
        assert scalar(aircraft, "select count(*) from sync.dirty") == 3
        told = backfill.answered(aircraft.engine)
        assert told == asked
        assert backfill.asked_of(hangar.engine, "EC-TAA", told) == {}
        # Rows that are only added get what they lack, and nothing else.
        again = Rows(
            "usage_event", rows.columns, [(*row[:1], "stop", *row[2:]) for row in rows.rows]
        )
        newer.send(again)
        assert ingest(hangar, "EC-TAA").problems == []
        assert scalar_list(hangar, "select distinct kind || ' ' || mood from usage_event") == (
            ["play glad"]
        )

    def test_asked_anew_they_are_recorded_anew(self, aircraft: End) -> None:
        add_events(aircraft, 1)
        for since in ("2026-11-26T08:00:00+00:00", "2026-11-27T08:00:00+00:00"):
            asked = times({"usage_event": since, "item": since, "staff": since})
            assert backfill.answer(aircraft.engine, aircraft.settings, asked) == ["usage_event"]
            assert backfill.answered(aircraft.engine) == {"usage_event": since}

    def test_an_aircraft_asks_until_a_snapshot_comes(self, aircraft: End) -> None:
        key = uuid4()
        rows = Rows("item", (*ITEM, "stars"), [(key, "film", "{}", 5)], additive=("stars",))
        down = Packer(aircraft, "hangar", "cat", NEWER)
        down.send(rows)
        ingest(aircraft, "hangar")
        run(aircraft, "alter table item add column stars bigint")
        try:
            assert list(backfill.needs(aircraft.engine, "hangar")) == ["item"]
            down.send(Rows("item", rows.columns, [(uuid4(), "film", "{}", 3)], additive=("stars",)))
            ingest(aircraft, "hangar")
            assert list(backfill.needs(aircraft.engine, "hangar")) == ["item"]
            Packer(aircraft, "hangar", "cat", NEWER).send(rows)
            assert ingest(aircraft, "hangar").problems == []
            assert backfill.needs(aircraft.engine, "hangar") == {}
            assert scalar_list(aircraft, "select stars from item") == [5]
        finally:
            run(aircraft, "alter table item drop column stars")


def test_a_header_without_the_word_additive_has_nothing_of_it(hangar: End, newer: Packer) -> None:
    path = newer.send(events())
    with path.open("rb") as file:
        header, _ = changeset.check(file, path.name)
    assert header.tables[0].additive == ()
