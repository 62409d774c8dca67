"""What would come after its end waits, while the link is the one on which that was so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sync import content, holding, policy
from sync.choice import Choice, Lately
from sync.manifest import File, Item, Manifest
from sync.policy import Policy
from sync.room import Room
from sync.rsync import Link, Moved
from tests.sync.ends import End, run
from tests.sync.test_content import add_item, bytes_of, offer, receive, visible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Clock = Callable[[], datetime]


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    return hangar


class Slow(Link):
    """A link on which a second is all that anything gets, and then nothing is in time."""

    def fetch(self, *what: object, stop: Callable[[], bool], **how: object) -> Moved:
        assert stop()
        return Moved(stopped=True)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[Policy]:
    """The way that there is, in a list of one."""
    ways = [Policy("wwan0")]
    monkeypatch.setattr(policy, "now", lambda settings: ways[0])
    return ways


def test_what_is_too_late_on_one_link_is_judged_anew_on_another(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch, ways: list[Policy]
) -> None:
    soon = clock() + timedelta(hours=1)
    paper = str(add_item(hangar, 1, {"p.pdf": bytes_of(50_000, 1)}, valid_to=soon))
    offer(hangar, aircraft, clock)
    with monkeypatch.context() as patch:
        patch.setattr("sync.watch.RATE_AFTER_S", -1)
        slow = Slow("hangar", ["false"])
        content.receive(aircraft.settings, slow, lambda line: None, clock=clock)
    (waits,) = holding.read(aircraft.settings.content_dir).waiting
    assert (waits.link, waits.room) == ("wwan0", 0)
    assert "it would come after" in waits.why
    due = [_missing(aircraft, clock)]
    for ways[0] in (Policy("wlan1"), Policy("wwan0")):
        due.append(_missing(aircraft, clock))
    assert due == [0, 1, 0]
    ways[0] = Policy("wlan1")
    receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [paper]


def test_what_one_link_gave_says_nothing_of_another(
    aircraft: End, clock: Clock, ways: list[Policy]
) -> None:
    paper = File("p.pdf", "a" * 64, 50_000)
    item = Item("1", "newspaper", 10, None, clock() + timedelta(hours=1), (paper,))
    state, room = holding.State(), Room(aircraft.settings, Manifest((item,)))
    aircraft.settings.content_dir.mkdir(parents=True)
    lately = Lately()
    choice = Choice(aircraft.settings, state, room, lambda line: None, clock, lately)
    choice.gave(10.0)
    anew = Choice(aircraft.settings, state, room, lambda line: None, clock, lately)
    assert anew.of([item], [paper]) == ([], []), "another manifest makes the link no faster"
    state.waiting.clear()
    assert choice.of([item], [paper]) == ([], [])
    assert [one.link for one in state.waiting] == ["wwan0"]
    ways[0] = Policy("wlan1")
    assert choice.of([item], [paper]) == ([item], [paper])


def test_each_of_a_group_waits_for_its_own_bytes_alone(
    aircraft: End, clock: Clock, ways: list[Policy]
) -> None:
    papers = [File(f"{number}.pdf", f"{number}" * 64, number * 1000) for number in (1, 2)]
    soon = clock() + timedelta(hours=1)
    items = [Item(one.path, "newspaper", 10, None, soon, (one,)) for one in papers]
    state, room = holding.State(), Room(aircraft.settings, Manifest(tuple(items)))
    choice = Choice(aircraft.settings, state, room, lambda line: None, clock, Lately())
    for item in items:
        choice.too_late(item, papers)
    assert [one.bytes for one in state.waiting] == [1000, 2000]


def _missing(aircraft: End, clock: Clock) -> object:
    return holding.local_state(aircraft.settings, clock=clock)["missing_files"]


def test_where_no_rule_is_the_link_has_its_name_all_the_same(aircraft: End, tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "wwan0 00000000 0102660A 0003 0 0 700 00000000 0 0 0\n"
    )
    assert policy.now(aircraft.settings, routes) == Policy("wwan0")
