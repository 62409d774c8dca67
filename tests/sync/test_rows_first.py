"""Rows do not wait for the end of content: what became due on the way is exchanged, and content goes on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from ci.story.teller import eventually
from common.clock import utc_now
from common.settings import Settings
from sync import files, overtake, publish, session, tree
from sync import hangar as hangar_side
from sync.manifest import File
from sync.overtake import ROWS_EVERY_S, STOP_COST_S, Overtaking, ask_rows
from sync.rsync import Link, Moved
from sync.watch import Watch
from tests.sync.ends import End, add_events, ids, link_to, run
from tests.sync.test_content import add_item, bytes_of

SURVEY = "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')"
FILM, STALL = 8_000_000, 1_000_000


@pytest.fixture
def settings(new_settings: Callable[..., Settings]) -> Settings:
    return new_settings()


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_due_is_asked_for_once_a_minute_at_most(settings: Settings) -> None:
    seconds = Seconds()
    overtaking = Overtaking(settings, seconds)
    overtaking.exchanged()
    ask_rows(settings, ["up"])
    seconds.now = ROWS_EVERY_S - 1
    assert not overtaking.rows_due()
    seconds.now = ROWS_EVERY_S
    assert overtaking.rows_due()
    overtaking.exchanged()
    assert not overtaking.rows_due()
    seconds.now *= 2
    assert not overtaking.rows_due(), "what was said before was done with"
    ask_rows(settings, ["cat", "usr"])
    assert overtaking.rows_due()


def test_what_is_due_no_more_stops_nothing(settings: Settings) -> None:
    overtaking = Overtaking(settings, clock := Seconds())
    clock.now = ROWS_EVERY_S
    ask_rows(settings, ["up"])
    ask_rows(settings, [])
    assert not overtaking.rows_due()
    ask_rows(settings, [])


def test_what_was_said_to_another_synchronisation_is_forgotten(settings: Settings) -> None:
    ask_rows(settings, ["up"])
    overtaking = Overtaking(settings, clock := Seconds())
    clock.now = ROWS_EVERY_S
    assert not overtaking.rows_due()


def test_what_runs_stops_only_where_that_does_not_cost_more_than_it_brought(tmp_path: Path) -> None:
    seconds = Seconds()
    staged = tmp_path / "staging" / ("a" * 64)
    staged.parent.mkdir()
    staged.write_bytes(bytes(500))
    film = [File("f", "a" * 64, 1000)]
    no = [lambda left_s: False] * 2
    watch = Watch(tmp_path, film, *no, lambda: False, lambda: True, seconds)
    for seconds.now in (1.0, 10.0, 20.0):
        assert not watch(), "it looks through what is here, and would do so again"
    staged.write_bytes(bytes(510))
    for seconds.now in (21.0, 39.0):
        assert not watch(), "it brought for less long than it looked"
    seconds.now = 40.0
    assert watch()
    assert watch.overtaken
    staged.write_bytes(bytes(1000 - int(500 / 25)))
    assert not watch(), f"it ends within {STOP_COST_S} seconds"


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    return hangar


def offer(hangar: End, *sizes: int, first: int = 1) -> list[str]:
    films = [
        str(add_item(hangar, number, {"film.mp4": bytes_of(size, number)}))
        for number, size in enumerate(sizes, first)
    ]
    hangar_side.refresh(hangar.engine, hangar.settings)
    publish.publish(hangar.engine, hangar.settings)
    return films


def happens(aircraft: End, hangar: End) -> None:
    """A passenger does something, the hangar's catalogue changes, and the agent hears that it is due."""
    add_events(aircraft, 3)
    run(hangar, SURVEY)
    hangar_side.refresh(hangar.engine, hangar.settings)
    ask_rows(aircraft.settings, ["up", "cat"])


def exchanged(aircraft: End, hangar: End) -> bool:
    """Whether what happened is known at both ends."""
    came = list(files.inbox(hangar.settings, "EC-TAA").rglob("*.cs"))
    return bool(came) and len(ids(aircraft, "survey")) == 1


@pytest.fixture
def _at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content makes way for rows whenever they are due, not once a minute."""
    monkeypatch.setattr(overtake, "ROWS_EVERY_S", 0.0)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.usefixtures("_at_any_time")
def test_rows_that_become_due_go_before_the_next_film(aircraft: End, hangar: End) -> None:
    films, seen = offer(hangar, 9_000_000, 9_000_001, 9_000_002), []
    way = link_to(hangar, "EC-TAA")

    class Busy(Link):
        def fetch(self, *what: object, **how: object) -> Moved:
            seen.append(exchanged(aircraft, hangar))
            if len(seen) == 1:
                happens(aircraft, hangar)
            return way.fetch(*what)  # type: ignore[arg-type]

    report = session.run(aircraft.settings, aircraft.engine, link=Busy(way.host, way.shell))
    assert seen == [False, True, True]
    assert (report.problems, report.pushed, report.content_files) == ([], True, 3)
    assert (report.sealed_rows, report.sealed_batches) == (3, 1)
    assert sorted(tree.shown(aircraft.settings.content_dir)) == films
    hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA")
    assert ids(hangar) == ids(aircraft)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.usefixtures("_at_any_time")
def test_rows_that_become_due_go_in_the_middle_of_a_film_that_goes_on_from_there(
    aircraft: End, hangar: End
) -> None:
    films, seen, reports = offer(hangar, FILM), [], []
    stalls, goes = (link_to(hangar, "EC-TAA", stall) for stall in (STALL, 0))
    staging = aircraft.settings.content_dir / "staging"

    class Stalls(Link):
        def fetch(self, *what: object, **how: object) -> Moved:
            seen.append(exchanged(aircraft, hangar))
            return (stalls if len(seen) == 1 else goes).fetch(*what, **how)  # type: ignore[arg-type]

    link = Stalls(goes.host, goes.shell)
    syncing = threading.Thread(
        target=lambda: reports.append(session.run(aircraft.settings, aircraft.engine, link=link))
    )
    syncing.start()
    eventually(
        "the film is on its way",
        lambda: sum(path.stat().st_size for path in staging.glob("*")) > STALL * 0.5,
        within_s=20,
        every_s=0.05,
    )
    happens(aircraft, hangar)
    syncing.join(40)
    (report,) = reports
    assert seen == [False, True]
    assert (report.problems, report.pushed) == ([], True)
    assert list(tree.shown(aircraft.settings.content_dir)) == films
    assert FILM < report.bytes_received < FILM * 1.01 + 300_000
    assert not list(staging.glob("*"))


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.usefixtures("_at_any_time")
def test_a_push_that_is_refused_again_is_told_once_and_stops_content_no_more(
    aircraft: End, hangar: End
) -> None:
    films, pushes = offer(hangar, 9_000_000, 9_000_001), []
    add_events(aircraft, 1)
    way = link_to(hangar, "EC-TAA")

    class Refuses(Link):
        def push(self, folder: Path) -> Moved:
            pushes.append(folder)
            ask_rows(aircraft.settings, ["up"])
            return Moved(problem="hangar refused")

    refuses = Refuses(way.host, way.shell)
    report = session.run(aircraft.settings, aircraft.engine, link=refuses)
    assert (report.problems, report.pushed, len(pushes)) == (["hangar refused"], False, 1)
    assert sorted(tree.shown(aircraft.settings.content_dir)) == films


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.usefixtures("_at_any_time")
def test_a_film_that_came_too_slowly_before_rows_went_is_not_begun_again_after_them(
    aircraft: End, hangar: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.watch.RATE_AFTER_S", 0.0)
    soon = utc_now() + timedelta(minutes=5)
    add_item(hangar, 1, {"film.mp4": bytes_of(FILM, 1)}, priority=100, valid_to=soon)
    (film,) = offer(hangar, 9_000_000, first=2)
    way, fetched = link_to(hangar, "EC-TAA"), []
    staging = aircraft.settings.content_dir / "staging"

    class SlowAtFirst(Link):
        def fetch(self, *what: Iterable[str], stop: Callable[[], bool], **how: object) -> Moved:
            fetched.append(len(fetched))
            if fetched != [0]:
                return way.fetch(*what, stop=stop, **how)  # type: ignore[arg-type]
            (sha256,) = what[0]
            staging.mkdir(exist_ok=True)
            (staging / sha256).write_bytes(bytes(1))
            time.sleep(0.1)
            assert stop(), "a byte in a tenth of a second: it would take hours"
            happens(aircraft, hangar)
            return Moved(stopped=True)

    report = session.run(aircraft.settings, aircraft.engine, link=SlowAtFirst(way.host, way.shell))
    assert exchanged(aircraft, hangar)
    assert (report.problems, fetched) == ([], [0, 1])
    assert list(tree.shown(aircraft.settings.content_dir)) == [film]


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.usefixtures("_at_any_time")
def test_what_was_wrong_before_rows_went_and_is_right_after_them_is_no_problem(
    aircraft: End, hangar: End
) -> None:
    offer(hangar, 9_000_000, 9_000_001)
    way = link_to(hangar, "EC-TAA")
    (good,) = (hangar.settings.sync_dir / "outbox" / "EC-TAA" / "down").rglob("*.cs")
    bad = files.inbox(aircraft.settings, files.HANGAR) / good.relative_to(good.parents[2])
    bad.parent.mkdir(parents=True)
    bad.write_bytes(bytes([good.read_bytes()[0] ^ 1]) + good.read_bytes()[1:])
    os.utime(bad, ns=(good.stat().st_mtime_ns,) * 2)
    seen = []

    class Busy(Link):
        def fetch(self, *what: object, **how: object) -> Moved:
            seen.append(len(ids(aircraft, "item")))
            if not seen[-1]:
                ask_rows(aircraft.settings, ["cat"])
            return way.fetch(*what)  # type: ignore[arg-type]

    report = session.run(aircraft.settings, aircraft.engine, link=Busy(way.host, way.shell))
    assert seen == [0, 2], "what came was wrong at first, and right the next time"
    assert (report.problems, report.applied_batches, report.content_files) == ([], 1, 2)
