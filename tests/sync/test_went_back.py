"""Databases that went back, were copied or made anew: nothing is lost, nothing counts twice.

Each case ends with every row that any box still has, or had sealed, at the hangar once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from sync import epoch, files, held, seal, session, state
from sync import hangar as hangar_side
from tests.sync.ends import End, PowerCut, add_events, ids, run, scalar
from tests.sync.landing import Saved, beat, copying, history, land, settled

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a'), ('EC-TAB', 'b')")
    return hangar


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

    def test_what_lies_beside_it_is_due_though_nothing_else_is_new(
        self, aircraft: End, hangar: End
    ) -> None:
        yesterday = Saved.of(aircraft)
        add_events(aircraft, 4)
        seal.seal_all(aircraft.engine, aircraft.settings)
        today = ids(aircraft)
        yesterday.put_back()
        # There are no rows to begin the new history with, and the connection broke before the push.
        seal.seal_all(aircraft.engine, aircraft.settings)
        assert (ids(aircraft), list(files.outbox(aircraft.settings).rglob("*.cs"))) == ([], [])
        assert beat(aircraft, hangar).answer.names == ["up"]
        land(aircraft, hangar)
        assert ids(hangar) == today
        settled(aircraft, hangar)

    @pytest.mark.parametrize("moved", [0, 1, 2, 3])
    def test_what_was_never_sent_comes_with_what_was_sealed_before_it(
        self, aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch, moved: int
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        beat(aircraft, hangar)
        for count in (1, 2):
            add_events(aircraft, count)
            seal.seal_all(aircraft.engine, aircraft.settings)
        # These books know two change-sets that the hangar has not, and forget the one after them.
        yesterday = Saved.of(aircraft)
        add_events(aircraft, 4)
        seal.seal_all(aircraft.engine, aircraft.settings)
        today = ids(aircraft)
        yesterday.put_back()
        self.lose_power_after(moved, aircraft, monkeypatch)
        land(aircraft, hangar)
        assert ids(hangar) == today
        settled(aircraft, hangar)

    @staticmethod
    def lose_power_after(moved: int, aircraft: End, monkeypatch: pytest.MonkeyPatch) -> None:
        move, left = files.move, [moved]

        def until(source: Path, target: Path) -> None:
            if source.suffix == ".cs":
                if not left[0]:
                    raise PowerCut
                left[0] -= 1
            move(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(files, "move", until)
            with suppress(PowerCut):
                seal.seal_all(aircraft.engine, aircraft.settings)

    def test_what_the_hangar_refuses_of_a_history_does_not_stop_the_one_after_it(
        self, aircraft: End, hangar: End
    ) -> None:
        add_events(aircraft, 3)
        land(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        run(hangar, "alter table usage_event add constraint no check (kind <> 'odd')")
        try:
            add_events(aircraft, 20, kind="odd")
            land(aircraft, hangar)
            yesterday.put_back()
            add_events(aircraft, 2)
            for _ in range(2):
                (problem,) = land(aircraft, hangar).problems
                assert "000000000002.cs: the database refused a row" in problem
            assert ids(hangar) == ids(aircraft)
            standing = held.held(hangar.engine)["EC-TAA"]["use"]
            assert "the database refused a row" in standing["why"]
        finally:
            run(hangar, "alter table usage_event drop constraint no")
        land(aircraft, hangar)
        settled(aircraft, hangar)
        assert len(ids(hangar)) == 25
        assert held.held(hangar.engine) == {}

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

    def test_what_it_forgot_is_laid_out_though_it_has_nothing_to_send(
        self, aircraft: End, hangar: End
    ) -> None:
        """In a landing the hangar does only what heartbeats make it do."""
        survey = "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')"
        run(hangar, survey)
        land(aircraft, hangar)
        yesterday = Saved.of(aircraft)
        run(hangar, survey)
        land(aircraft, hangar)
        beat(aircraft, hangar)
        hangar_side.refresh(hangar.engine, hangar.settings)
        yesterday.put_back()
        due = beat(aircraft, hangar).answer
        assert (due.names, due.unapplied, due.unoffered) == (["cat"], False, True)
        hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA")
        due = beat(aircraft, hangar).answer
        assert (due.names, due.unapplied, due.unoffered) == (["cat"], False, False)
        session.run(aircraft.settings, aircraft.engine, link=copying(hangar, "EC-TAA"))
        assert ids(aircraft, "survey") == ids(hangar, "survey")
        assert beat(aircraft, hangar).answer.names == []


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


@pytest.mark.parametrize("harm", ["empty", "cut", "altered"])
def test_a_change_set_that_is_damaged_in_the_outbox_is_sent_in_a_new_history(
    aircraft: End, hangar: End, harm: str
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    beat(aircraft, hangar)
    for _ in range(2):
        add_events(aircraft, 100)
        seal.seal_all(aircraft.engine, aircraft.settings)
    first, _ = sorted(files.outbox(aircraft.settings).rglob("*.cs"))
    data = first.read_bytes()
    first.chmod(0o644)
    altered = data[:-40] + bytes(byte ^ 255 for byte in data[-40:])
    first.write_bytes({"empty": b"", "cut": data[:-20], "altered": altered}[harm])
    assert land(aircraft, hangar).problems == []
    assert ids(hangar) == ids(aircraft)
    settled(aircraft, hangar)


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


@pytest.mark.parametrize("more", [0, 1])
def test_a_hangar_that_forgot_a_whole_history_is_sent_all_there_is(
    aircraft: End, hangar: End, more: int
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    yesterday = Saved.of(hangar)
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    add_events(aircraft, 2)
    land(aircraft, hangar)
    beat(aircraft, hangar)
    yesterday.put_back()
    shutil.rmtree(files.inbox(hangar.settings, "EC-TAA"))
    add_events(aircraft, more)
    for _ in range(3):
        land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_box_that_the_hangar_forgot_and_that_comes_back_sends_all_it_has(
    aircraft: End, hangar: End, acknowledged: bool
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    if acknowledged:
        beat(aircraft, hangar)
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")
    add_events(aircraft, 2)
    for _ in range(2):
        land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)
