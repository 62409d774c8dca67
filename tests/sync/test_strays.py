"""What lies in the inbox of a history that never began here, and that its aircraft has left."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from common.clock import utc_now
from sync import epoch, files, held, index, seal, skew
from sync import hangar as hangar_side
from tests.sync.ends import End, add_events, ids, run
from tests.sync.landing import beat, history, land, settled

pytestmark = [pytest.mark.postgres]


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a'), ('EC-TAB', 'b')")
    return hangar


@pytest.fixture
def stray(aircraft: End, hangar: End, strict: None) -> Path:
    """The folder at the hangar of what it refused; the aircraft is in the history after it."""
    add_events(aircraft, 20)
    (problem,) = land(aircraft, hangar).problems
    assert "000000000001.cs: the database refused a row" in problem
    folder = present(aircraft, hangar)
    run(hangar, "alter table usage_event drop constraint strict")
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    assert land(aircraft, hangar).problems == []
    assert ids(hangar) == ids(aircraft)
    assert lying(folder) == 1
    return folder


def present(aircraft: End, hangar: End) -> Path:
    """Where at the hangar lies what the aircraft seals now."""
    return files.inbox(hangar.settings, "EC-TAA") / "use" / str(history(aircraft))[:8]


def lying(folder: Path) -> int:
    return len(list(files.change_sets(folder)))


def days_later(hangar: End, days: int) -> list[str]:
    """Takes in what came, after so many days; returns what is wrong."""
    outcome = hangar_side.ingest(
        hangar.engine, hangar.settings, "EC-TAA", clock=lambda: utc_now() + timedelta(days=days)
    )
    return outcome.problems


def parks(*arguments: object) -> NoReturn:
    """In the place of `skew.judge`."""
    raise skew.Parked("a column of usage_event waits for schema 9999")


def test_it_does_not_hide_that_the_present_one_does_not_fit(
    aircraft: End, hangar: End, stray: Path
) -> None:
    (path,) = present(aircraft, hangar).iterdir()
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")
    (problem,) = hangar_side.ingest(hangar.engine, hangar.settings, "EC-TAA").problems
    assert "change-set 1 was applied as" in problem
    assert beat(aircraft, hangar).answer.wants == {"use": "snapshot"}
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert held.held(hangar.engine) == {}


def test_it_does_not_hide_that_the_present_one_waits_for_a_schema(
    aircraft: End, hangar: End, stray: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(skew, "judge", parks)
        add_events(aircraft, 3)
        land(aircraft, hangar)
    assert "waits for schema 9999" in held.held(hangar.engine)["EC-TAA"]["use"]["why"]
    # Or it would be taken in at each heartbeat.
    assert not beat(aircraft, hangar).answer.unapplied
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


def test_it_goes_after_a_week(aircraft: End, hangar: End, stray: Path) -> None:
    for days, left in ((6, 1), (8, 0)):
        assert days_later(hangar, days) == []
        assert lying(stray) == left


def test_it_goes_where_nothing_else_ever_began(aircraft: End, hangar: End, strict: None) -> None:
    add_events(aircraft, 20)
    land(aircraft, hangar)
    first = present(aircraft, hangar)
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    land(aircraft, hangar)
    days_later(hangar, 8)
    assert (lying(first), lying(present(aircraft, hangar))) == (0, 1)


def test_what_its_index_names_stays_until_it_is_applied(
    aircraft: End, hangar: End, stray: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    with monkeypatch.context() as patched:
        patched.setattr(skew, "judge", parks)
        add_events(aircraft, 3)
        land(aircraft, hangar)
        days_later(hangar, 30)
    assert (lying(stray), lying(present(aircraft, hangar))) == (0, 1)
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)


@pytest.mark.parametrize("there", ["the last one", "none", "a damaged one"])
def test_what_came_before_its_index_stays_and_begins_with_it(
    aircraft: End, hangar: End, stray: Path, there: str
) -> None:
    path = files.inbox(hangar.settings, "EC-TAA") / index.NAME
    last = path.read_bytes()
    with seal.alone(aircraft.engine, "use"):
        epoch.begin(aircraft.engine, aircraft.settings, "use", "a test")
    add_events(aircraft, 3)
    seal.seal_all(aircraft.engine, aircraft.settings)
    # The connection broke before the index of now came.
    folder = present(aircraft, hangar)
    shutil.copytree(files.outbox(aircraft.settings) / "use" / folder.name, folder)
    if there != "the last one":
        path.unlink()
    if there == "a damaged one":
        path.write_bytes(last[:-9])
    days_later(hangar, 30)
    assert lying(folder) == 1
    land(aircraft, hangar)
    settled(aircraft, hangar)
    assert ids(hangar) == ids(aircraft)
