"""What is more urgent overtakes a film that is on its way, and the film goes on from where it was."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci.story.teller import eventually
from common.settings import Settings
from sync import content, overtake, publish, session, state, tree
from sync import hangar as hangar_side
from sync.issue import Head
from sync.manifest import Item, Manifest, urgency
from sync.overtake import STOP_COST_S, Overtaking, ask
from sync.rsync import Link, Moved
from tests.sync.ends import End, link_to, run
from tests.sync.test_content import add_item, bytes_of, offer, visible

NEVER = urgency(100, None)
FILM, STALL = 8_000_000, 5_000_000
Clock = Callable[[], datetime]


def said(version: str = "new", priority: int = 10, valid_to: object = None) -> dict[str, object]:
    return {"version": version, "priority": priority, "valid_to": valid_to}


@pytest.fixture
def settings(new_settings: Callable[..., Settings]) -> Settings:
    return new_settings()


def test_what_is_more_urgent_stops_what_runs_once(settings: Settings) -> None:
    overtaking = Overtaking(settings)
    assert not overtaking.due("old", NEVER)
    ask(settings, said())
    assert overtaking.due("old", NEVER, left_s=60)
    assert not overtaking.due("old", NEVER, left_s=60), "the hangar repeats it at each heartbeat"
    ask(settings, said("newer"))
    assert overtaking.due("new", NEVER, left_s=60)


@pytest.mark.parametrize(
    ("urgent", "running", "left_s"),
    [
        (said("old"), NEVER, 60),
        (said(priority=100), NEVER, 60),
        (said(priority=200), NEVER, 60),
        (said(), urgency(10, datetime(2026, 1, 1, tzinfo=UTC)), 60),
        (said(valid_to="2026-01-02T00:00:00Z"), urgency(10, datetime(2026, 1, 1, tzinfo=UTC)), 60),
        (said(), NEVER, STOP_COST_S),
        ({}, NEVER, 60),
        (said(priority="high"), NEVER, 60),
        (said(valid_to="tomorrow"), NEVER, 60),
        (said(valid_to="0001-01-01T00:00:00+14:00"), NEVER, 60),
        (said(valid_to=7), NEVER, 60),
    ],
)
def test_nothing_else_stops_it(
    settings: Settings, urgent: dict[str, object], running: overtake.Urgency, left_s: float
) -> None:
    overtaking = Overtaking(settings)
    ask(settings, urgent)
    assert not overtaking.due("old", running, left_s)


def test_what_ends_sooner_goes_before_what_is_as_important(settings: Settings) -> None:
    overtaking = Overtaking(settings)
    ask(settings, said(valid_to="2026-01-01T00:00:00+00:00"))
    assert overtaking.due("old", urgency(10, datetime(2026, 1, 2, tzinfo=UTC)))


def test_what_came_while_the_last_one_ended_is_not_left_behind(settings: Settings) -> None:
    overtaking = Overtaking(settings)
    ask(settings, said(priority=100))
    assert not overtaking.due("old", NEVER)
    assert overtaking.due("old", None), "all that was planned is here: now it is its turn"


def test_what_was_said_to_another_synchronisation_is_forgotten(settings: Settings) -> None:
    ask(settings, said())
    assert not Overtaking(settings).due("old", NEVER)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"9" * 100_000])
def test_a_note_that_is_none_stops_nothing(settings: Settings, text: bytes) -> None:
    overtaking = Overtaking(settings)
    (settings.run_dir / "sync.urgent").write_bytes(text)
    assert not overtaking.due("old", NEVER)


def manifest(*numbers: int, priority: int = 100) -> Manifest:
    return Manifest(tuple(Item(str(n), "film", priority, None, None, ()) for n in numbers))


def test_the_hangar_says_how_urgent_what_came_since_is() -> None:
    first, second = manifest(1), manifest(1, 2)
    third = Manifest((*second.items, *manifest(3, priority=10).items))
    head = Head().then(None, first).then(first, second).then(second, third)
    for held in (first, second):
        assert head.urgent(held.version) == said(third.version)
    assert head.urgent(third.version) is None
    assert head.urgent("never heard of") is None
    assert head.urgent("") is None
    # One that was withdrawn is nothing new; one whose priority was raised is.
    fewer = head.then(third, second)
    assert fewer.urgent(third.version) is None
    raised = manifest(1, 2, priority=1)
    assert fewer.then(second, raised).urgent(second.version) == said(raised.version, 1)


def test_of_what_came_since_the_one_that_ends_first_counts() -> None:
    soon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    items = [Item(str(n), "newspaper", 10, None, end, ()) for n, end in enumerate((None, soon))]
    head = Head().then(None, manifest(7)).then(manifest(7), Manifest(tuple(items)))
    assert head.urgent(manifest(7).version) == said(
        head.version, valid_to="2026-01-01T12:00:00+00:00"
    )


def test_what_is_known_of_versions_does_not_grow_for_ever() -> None:
    head, former = Head(), None
    for number in range(200):
        now = manifest(number)
        head, former = head.then(former, now), now
    assert len(json.dumps(head.steps)) < 4000


@pytest.mark.postgres
@pytest.mark.slow
def test_the_newspaper_is_first_and_the_film_goes_on_from_where_it_was(
    aircraft: End, hangar: End
) -> None:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    film = str(add_item(hangar, 1, {"film.mp4": bytes_of(FILM, 1)}))
    hangar_side.refresh(hangar.engine, hangar.settings)
    publish.publish(hangar.engine, hangar.settings)
    # The film stalls on its way: it does not end before the newspaper is published.
    link, lines, reports = link_to(hangar, "EC-TAA", stall=STALL), [], []
    staging = aircraft.settings.content_dir / "staging"

    def synchronise() -> None:
        reports.append(
            session.run(aircraft.settings, aircraft.engine, lines.append, link=link)  # type: ignore[arg-type]
        )

    syncing = threading.Thread(target=synchronise)
    syncing.start()
    eventually(
        "the film is on its way",
        lambda: sum(path.stat().st_size for path in staging.glob("*")) > STALL * 0.9,
        within_s=20,
        every_s=0.05,
    )
    until = datetime.now(UTC) + timedelta(hours=9)
    paper = str(
        add_item(hangar, 2, {"p.pdf": b"news"}, kind="newspaper", priority=10, valid_to=until)
    )
    hangar_side.refresh(hangar.engine, hangar.settings)
    publish.publish(hangar.engine, hangar.settings)
    body = json.loads(json.dumps(state.local_state(aircraft.engine, aircraft.settings)))
    due = state.due(hangar.engine, hangar.settings, "EC-TAA", body)
    assert due.urgent is not None
    assert len(json.dumps(due.urgent)) < 100, "it comes with heartbeats"
    ask(aircraft.settings, due.urgent)
    syncing.join(20)
    (report,) = reports
    assert report.problems == []
    assert sorted(tree.shown(aircraft.settings.content_dir)) == sorted([film, paper])
    fetched = [line.split(":")[0] for line in lines if "files, " in line]
    assert fetched == ["film", "newspaper", "film"]
    # Rows and files: the offer is whole.
    with aircraft.engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from asset").scalar() == 2
    assert FILM < report.bytes_received < FILM * 1.01 + 300_000
    assert not list(staging.glob("*"))
    assert not _running("rsync", str(aircraft.settings.state_dir))


def _running(program: str, place: str) -> list[str]:
    found = subprocess.run(
        ["pgrep", "-af", f"{program}.*{Path(place)}"], capture_output=True, text=True, check=False
    )
    return found.stdout.splitlines()


@pytest.mark.postgres
def test_what_is_more_urgent_is_not_forgotten_when_the_transfer_ends_as_it_is_stopped(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    film = str(add_item(hangar, 1, {"film.mp4": bytes_of(5000, 1)}))
    offer(hangar, aircraft, clock)
    way = link_to(hangar, "EC-TAA")

    class Quick(Link):
        def fetch(self, hashes: object, staging: Path, *, stop: object, **_: object) -> Moved:
            said = {"version": "new", "priority": 1, "valid_to": None}
            overtake.ask(aircraft.settings, said)
            assert stop()  # type: ignore[operator]
            return way.fetch(hashes, staging)  # type: ignore[arg-type]

    quick = Quick(way.host, way.shell)
    received = content.receive(aircraft.settings, quick, lambda line: None, clock=clock)
    assert received.overtaken, "the new manifest is to be pulled"
    assert list(visible(aircraft)) == [film], "and what came is here"
