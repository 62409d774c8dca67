"""Histories: when a new one begins, and that a crash on the way looks like nothing else than a crash."""

from __future__ import annotations

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from common.clock import utc_now
from common.uuid7 import uuid7
from sync import ack, capture, epoch, files, seal, state
from sync import hangar as hangar_side
from tests.sync.ends import End, PowerCut, add_events, cut_at, ids, run, scalar
from tests.sync.landing import history, land, settled

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

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


def test_a_stream_that_is_told_nothing_stays_in_its_history(aircraft: End, hangar: End) -> None:
    began = history(aircraft)
    for _ in range(3):
        add_events(aircraft, 2)
        assert land(aircraft, hangar).problems == []
    settled(aircraft, hangar)
    assert history(aircraft) == began


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


def test_an_acknowledgement_that_comes_while_a_new_history_begins_waits_for_it(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_events(aircraft, 3)
    land(aircraft, hangar)
    acks = state.acks(hangar.engine, "EC-TAA")
    with ThreadPoolExecutor(1) as beside:

        def meanwhile(*arguments: Any) -> None:
            taken.append(beside.submit(ack.accept, aircraft.engine, aircraft.settings, acks))
            while not scalar(aircraft, "select exists (select from pg_locks where not granted)"):
                assert not taken[-1].done()
            monkeypatch.setattr(epoch, "record_all", capture.record_all)
            capture.record_all(*arguments)

        taken: list[Future[list[str]]] = []
        monkeypatch.setattr(epoch, "record_all", meanwhile)
        with seal.alone(aircraft.engine, "use"):
            epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
        assert taken[0].result() == []
    land(aircraft, hangar)
    settled(aircraft, hangar)


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
    add_events(aircraft, 1)
    land(aircraft, hangar)
    for days in (6, 8):
        hangar_side.ingest(
            hangar.engine,
            hangar.settings,
            "EC-TAA",
            clock=lambda days=days: utc_now() + timedelta(days=days),  # type: ignore[misc]
        )
        assert stray.exists() == (days < 7)
