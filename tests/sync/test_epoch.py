"""Databases that went back, were copied or made anew: nothing is lost, nothing counts twice.

Each case ends with every row that any box still has, or had sealed, at the hangar once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from common.clock import utc_now
from common.uuid7 import uuid7
from sync import ack, epoch, files, seal, session, state
from sync import hangar as hangar_side
from tests.sync.ends import End, PowerCut, add_events, cut_at, ids, run, scalar
from tests.sync.landing import Saved, beat, copying, land

pytestmark = pytest.mark.postgres

FIRST, SECOND = UUID(int=1), UUID(int=2)
HERE = epoch.Here("EC-TAA", "7/1", "00000001")


def known(**more: object) -> epoch.Known:
    return epoch.Known(**{"epoch": SECOND, "follows": FIRST, **vars(HERE), **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("books", "file", "holds", "said"),
    [
        (known(), epoch.Noted(SECOND, 4, "a"), True, None),
        (known(), None, False, None),
        (known(node=None, database=None, timeline=None), None, False, None),
        # The power went between the books and the file.
        (known(), epoch.Noted(FIRST, 4, "a"), False, None),
        (known(), epoch.Noted(SECOND, 4, "a"), False, "lack change-set 4"),
        (known(), epoch.Noted(UUID(int=3), 4, "a"), False, "was the last one here"),
        (known(node="EC-TAB"), epoch.Noted(SECOND, 4, "a"), True, "that of EC-TAB"),
        (known(database="7/2"), epoch.Noted(SECOND, 4, "a"), True, "restored or copied"),
        (known(timeline="00000002"), epoch.Noted(SECOND, 4, "a"), True, "its timeline"),
        (known(database="7/2"), None, False, "restored or copied"),
    ],
)
def test_what_says_that_a_database_is_another_one(
    books: epoch.Known, file: epoch.Noted | None, holds: bool, said: str | None
) -> None:
    found = epoch.reason(books, HERE, file, holds)
    assert (found is None) if said is None else (said in str(found))


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a'), ('EC-TAB', 'b')")
    return hangar


def history(end: End, stream: str = "use") -> object:
    return scalar(end, f"select epoch from sync.epoch where stream = '{stream}'")


def settled(aircraft: End, hangar: End) -> None:
    """Two more landings find nothing wrong and leave nothing behind."""
    for _ in range(2):
        assert land(aircraft, hangar).problems == []
    answer = beat(aircraft, hangar).answer
    assert (answer.wants, answer.former, "up" in answer.names) == ({}, {}, False)
    assert scalar(aircraft, "select count(*) from sync.dirty") == 0
    assert scalar(aircraft, "select count(*) from sync.batch where state = 'published'") == 0
    for folder in (files.outbox(aircraft.settings), files.former(aircraft.settings)):
        assert list(folder.rglob("*.cs")) == []


def test_a_stream_that_is_told_nothing_stays_in_its_history(aircraft: End, hangar: End) -> None:
    began = history(aircraft)
    for _ in range(3):
        add_events(aircraft, 2)
        assert land(aircraft, hangar).problems == []
    settled(aircraft, hangar)
    assert history(aircraft) == began


class TestTheAircraftsDatabaseIsOfYesterday:
    """The files beside it are those of today."""

    def test_the_same_numbers_with_other_rows_are_not_lost(
        self, aircraft: End, hangar: End
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        add_events(aircraft, 4)
        land(aircraft, hangar)
        today, began = ids(aircraft), history(aircraft)
        yesterday.put_back()
        add_events(aircraft, 2)
        land(aircraft, hangar)
        assert history(aircraft) != began
        settled(aircraft, hangar)
        assert ids(hangar) == sorted({*today, *ids(aircraft)})

    def test_what_was_sealed_and_never_sent_comes_from_its_file(
        self, aircraft: End, hangar: End
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        for count in (4, 2):
            add_events(aircraft, count)
            seal.seal_all(aircraft.engine, aircraft.settings)
        today = ids(aircraft)
        yesterday.put_back()
        add_events(aircraft, 1)
        landing = land(aircraft, hangar)
        assert landing.problems == []
        assert len(list(files.former(aircraft.settings).rglob("*.cs"))) == 2
        assert ids(hangar) == sorted({*today, *ids(aircraft)})
        settled(aircraft, hangar)
        assert ids(hangar) == sorted({*today, *ids(aircraft)})

    def test_it_may_go_back_again_and_again(self, aircraft: End, hangar: End) -> None:
        ever: set[UUID] = set()
        for _ in range(3):
            add_events(aircraft, 2)
            yesterday = Saved.of(aircraft)
            add_events(aircraft, 2)
            seal.seal_all(aircraft.engine, aircraft.settings)
            ever |= set(ids(aircraft))
            yesterday.put_back()
            if len(ever) > 4:
                land(aircraft, hangar)
        add_events(aircraft, 1)
        land(aircraft, hangar)
        settled(aircraft, hangar)
        assert ids(hangar) == sorted({*ever, *ids(aircraft)})

    def test_what_came_down_since_is_offered_again(self, aircraft: End, hangar: End) -> None:
        run(
            hangar,
            "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')",
        )
        land(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        for _ in range(2):
            run(
                hangar,
                "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')",
            )
            land(aircraft, hangar)
        beat(aircraft, hangar)
        yesterday.put_back()
        for _ in range(2):
            land(aircraft, hangar)
        assert ids(aircraft, "survey") == ids(hangar, "survey")
        assert "cat" not in beat(aircraft, hangar).answer.names


class TestTheWholeDiskIsOfYesterday:
    """Database and files agree with each other, so only the hangar knows better."""

    @staticmethod
    def go_back(aircraft: End, kept: Path, yesterday: Saved) -> None:
        yesterday.put_back()
        shutil.rmtree(aircraft.settings.sync_dir)
        shutil.copytree(kept, aircraft.settings.sync_dir)

    @pytest.mark.parametrize("since", [0, 1, 2, 3])
    @pytest.mark.parametrize("archived", [True, False])
    def test_the_hangar_asks_for_all_there_is(
        self,
        aircraft: End,
        hangar: End,
        tmp_path: Path,
        since: int,
        archived: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        if not archived:
            # Then no acknowledgement shows the aircraft that it went back.
            monkeypatch.setattr(state, "acks", lambda engine, name: {})
        add_events(aircraft, 3)
        land(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        shutil.copytree(aircraft.settings.sync_dir, tmp_path / "kept")
        for _ in range(2):
            add_events(aircraft, 2)
            land(aircraft, hangar)
        today, began = ids(aircraft), history(aircraft)
        self.go_back(aircraft, tmp_path / "kept", yesterday)
        # Landed and synchronised before any heartbeat, as far behind, level or ahead.
        for _ in range(since):
            add_events(aircraft, 1)
            session.run(aircraft.settings, aircraft.engine, link=copying(hangar, "EC-TAA"))
            hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA")
        add_events(aircraft, 1)
        for _ in range(3):
            land(aircraft, hangar)
        monkeypatch.undo()
        settled(aircraft, hangar)
        assert history(aircraft) != began
        assert ids(hangar) == sorted({*today, *ids(aircraft)})

    def test_a_history_that_was_left_is_left_again(
        self, aircraft: End, hangar: End, tmp_path: Path
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        beat(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        shutil.copytree(aircraft.settings.sync_dir, tmp_path / "kept")
        with seal.alone(aircraft.engine, "use"):
            epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
        add_events(aircraft, 2)
        land(aircraft, hangar)
        today, second = ids(aircraft), history(aircraft)
        self.go_back(aircraft, tmp_path / "kept", yesterday)
        add_events(aircraft, 1)
        land(aircraft, hangar)
        land(aircraft, hangar)
        settled(aircraft, hangar)
        first, third = scalar(hangar, "select former[1] from sync.cursor"), history(aircraft)
        assert len({first, second, third}) == 3
        assert ids(hangar) == sorted({*today, *ids(aircraft)})


class TestCopies:
    def test_a_copy_on_a_second_box_sends_its_own_rows_alone(
        self, new_end: Callable[..., End], aircraft: End, hangar: End
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        add_events(aircraft, 2)
        seal.seal_all(aircraft.engine, aircraft.settings)
        second = End(new_end("EC-TAB").settings, aircraft.engine)
        shutil.copytree(aircraft.settings.sync_dir, second.settings.sync_dir)
        add_events(second, 4)
        landing = land(second, hangar)
        assert landing.problems == []
        sent = scalar(hangar, "select count(*) from usage_event where aircraft = 'EC-TAB'")
        assert (sent, len(ids(hangar))) == (4, 7)
        settled(second, hangar)

    def test_a_database_made_anew_is_a_new_history(
        self, new_end: Callable[..., End], aircraft: End, hangar: End
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        add_events(aircraft, 2)
        seal.seal_all(aircraft.engine, aircraft.settings)
        lost = ids(aircraft)
        anew = End(aircraft.settings, new_end("EC-TAA").engine)
        add_events(anew, 4)
        land(anew, hangar)
        settled(anew, hangar)
        # What was sealed is not lost with the database: it lay in files.
        assert ids(hangar) == sorted([*lost, *ids(anew)])

    def test_an_outbox_that_is_gone_is_sent_again(self, aircraft: End, hangar: End) -> None:
        add_events(aircraft, 3)
        seal.seal_all(aircraft.engine, aircraft.settings)
        shutil.rmtree(aircraft.settings.sync_dir)
        land(aircraft, hangar)
        settled(aircraft, hangar)
        assert ids(hangar) == ids(aircraft)


@pytest.mark.parametrize("step", ["committed", "noted", "renamed", "published", *epoch.STEPS])
def test_killed_anywhere_it_does_not_look_like_a_database_that_went_back(
    aircraft: End, hangar: End, step: str
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    if step in epoch.STEPS:
        run(aircraft, "update sync.epoch set node = 'EC-TAX' where stream = 'use'")
    add_events(aircraft, 2)
    with pytest.raises(PowerCut):
        seal.seal(aircraft.engine, aircraft.settings, "use", at=cut_at(step))
    began = history(aircraft)
    add_events(aircraft, 2)
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert history(aircraft) == began
    assert ids(hangar) == ids(aircraft)


def test_a_change_set_that_the_power_took_is_sealed_again_in_the_same_history(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    add_events(aircraft, 2)
    with pytest.raises(PowerCut):
        seal.seal(aircraft.engine, aircraft.settings, "use", at=cut_at("noted"))
    # Its name in tmp was not on the disk yet.
    shutil.rmtree(files.tmp(aircraft.settings))
    with pytest.raises(PowerCut):
        seal.seal(aircraft.engine, aircraft.settings, "use", at=cut_at("claimed"))
    add_events(aircraft, 1)
    began = history(aircraft)
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert (history(aircraft), ids(hangar)) == (began, ids(aircraft))


def test_a_late_acknowledgement_of_a_history_that_was_left_takes_nothing_away(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 3)
    landed = land(aircraft, hangar)
    late = state.acks(hangar.engine, "EC-TAA")
    assert landed.problems == []
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    add_events(aircraft, 2)
    seal.seal_all(aircraft.engine, aircraft.settings)
    assert ack.accept(aircraft.engine, aircraft.settings, late) == []
    assert scalar(aircraft, "select count(*) from sync.dirty") == 5
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


def test_writers_go_on_while_a_new_history_begins(aircraft: End, hangar: End) -> None:
    add_events(aircraft, 3)
    with aircraft.engine.connect() as writer, writer.begin():
        writer.execute(
            text(
                "insert into usage_event (id, kind, aircraft) "
                f"values ('{uuid7()}', 'play', 'EC-TAA')"
            )
        )
        with seal.alone(aircraft.engine, "use"):
            epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)
    assert len(ids(hangar)) == 4


def test_another_change_set_under_an_applied_number_is_named_and_asked_about(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    (path,) = files.inbox(hangar.settings, "EC-TAA").rglob("*.cs")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")
    (problem,) = hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA").problems
    assert "change-set 1 was applied as" in problem
    body = state.local_state(aircraft.engine, aircraft.settings)
    assert state.due(hangar.engine, hangar.settings, "EC-TAA", body).wants == {"use": "snapshot"}
    assert path.exists()
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


@pytest.mark.parametrize("change", [{"sha256": "b" * 64}, {"seq": 9}])
def test_an_acknowledgement_that_the_books_do_not_have_begins_the_cure(
    aircraft: End, hangar: End, change: dict[str, object]
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    began, told = history(aircraft), state.acks(hangar.engine, "EC-TAA")
    told["use"] |= change  # type: ignore[typeddict-item]
    (problem,) = ack.accept(aircraft.engine, aircraft.settings, told)
    assert "this disk is of an earlier time" in problem
    assert history(aircraft) != began
    assert scalar(aircraft, "select count(*) from sync.dirty where batch is null") == 3
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


def test_a_hangar_that_lost_what_it_acknowledged_is_sent_all_there_is(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    yesterday = Saved.of(hangar)
    add_events(aircraft, 2)
    land(aircraft, hangar)
    beat(aircraft, hangar)
    yesterday.put_back()
    # Otherwise it would be taken in again from there.
    shutil.rmtree(files.inbox(hangar.settings, "EC-TAA"))
    add_events(aircraft, 1)
    for _ in range(3):
        land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


def test_a_box_that_the_hangar_forgot_and_that_comes_back_sends_all_it_has(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    beat(aircraft, hangar)
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")
    add_events(aircraft, 2)
    for _ in range(2):
        land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


def test_what_does_not_fit_into_a_history_that_was_left_goes_after_a_week(
    aircraft: End, hangar: End
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    land(aircraft, hangar)
    settled(aircraft, hangar)
    (folder,) = (
        path.parent
        for path in files.inbox(hangar.settings, "EC-TAA").rglob("use/*/000000000001.cs")
        if path.parent.name != str(history(aircraft))[:8]
    )
    stray = folder / "000000000009.cs"
    stray.write_bytes(b"x")
    for days in (6, 8):
        hangar_side.ingest(
            hangar.engine,
            hangar.settings,
            "EC-TAA",
            clock=lambda days=days: utc_now() + timedelta(days=days),  # type: ignore[misc]
        )
        assert stray.exists() == (days < 7)
