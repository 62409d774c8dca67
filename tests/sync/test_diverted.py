"""The way to the tower becomes another one while content comes: the rule of that one holds at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from common.settings import LinkRule
from sync import content, holding, policy, rsync
from sync.content import Received
from sync.policy import Policy
from sync.rsync import Link, Moved
from sync.watch import LINK_LOOK_S, Watch
from tests.sync.ends import End, link_to, run
from tests.sync.test_content import add_item, bytes_of, offer, visible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Clock = Callable[[], datetime]
SIZE, STALL = 8_000_000, 2_000_000
WIFI = Policy("wlan1")
METERED = Policy("wwan0", LinkRule(name="metered", largest_mb=1))
SLOW = Policy("wwan0", LinkRule(name="metered", kbit=80_000))


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    return hangar


class Ways:
    """The ways there are, one after the other: the next one comes when something has arrived of a film."""

    def __init__(self, aircraft: End, monkeypatch: pytest.MonkeyPatch, *ways: Policy) -> None:
        self._staging = aircraft.settings.content_dir / "staging"
        self._ways, self.runs = list(ways), 0
        self.words: list[list[str]] = []
        monkeypatch.setattr(policy, "now", lambda settings: self.now())
        monkeypatch.setattr("sync.watch.LINK_LOOK_S", 0.1)
        watched = rsync._watched

        def seen(command: list[str], *more: object) -> object:
            if "--inplace" in command:
                self.words.append([word for word in command if word.startswith("--bwlimit")])
            return watched(command, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(rsync, "_watched", seen)

    def now(self) -> Policy:
        came = sum(path.stat().st_size for path in self._staging.glob("*"))
        if len(self._ways) > 1 and came > STALL * 0.9:
            self._ways.pop(0)
        return self._ways[0]


def way_to(hangar: End, ways: Ways) -> Link:
    """A link whose first transfer of content stalls for good, and that goes on when it is begun anew."""
    stalls, goes = (link_to(hangar, "EC-TAA", stall) for stall in (STALL, 0))

    class Way(Link):
        def fetch(self, *what: object, **how: object) -> Moved:
            ways.runs += 1
            of = stalls if ways.runs == 1 else goes
            link = Link(of.host, of.shell, lambda: ways.now().kib_s)
            return link.fetch(*what, **how)  # type: ignore[arg-type]

    return Way(goes.host, goes.shell)


def receive(hangar: End, aircraft: End, ways: Ways, clock: Clock) -> Received:
    way = way_to(hangar, ways)
    return content.receive(aircraft.settings, way, lambda line: None, clock=clock)


def test_what_the_other_way_forbids_ends_and_waits_for_the_former(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_item(hangar, 1, {"film.mp4": bytes_of(SIZE, 1)})
    paper = str(add_item(hangar, 2, {"paper.pdf": b"news"}, kind="newspaper", priority=200))
    offer(hangar, aircraft, clock)
    ways = Ways(aircraft, monkeypatch, WIFI, METERED)
    received = receive(hangar, aircraft, ways, clock)
    assert (received.problems, received.overtaken, ways.runs) == ([], False, 2)
    assert list(visible(aircraft)) == [paper], "what is small comes over the other way too"
    (waits,) = holding.read(aircraft.settings.content_dir).waiting
    assert waits.link == "wwan0"
    assert "on metered (wwan0) nothing above 1 MB comes" in waits.why
    assert STALL * 0.8 < SIZE - waits.bytes < STALL * 1.1, "what came over the former is kept"
    assert holding.local_state(aircraft.settings, clock=clock)["missing_files"] == 0


@pytest.mark.parametrize(
    ("ways", "limits"),
    [((WIFI, SLOW), [[], ["--bwlimit=9765"]]), ((SLOW, WIFI), [["--bwlimit=9765"], []])],
)
def test_what_the_other_way_limits_goes_on_at_its_rate(
    aircraft: End,
    hangar: End,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    ways: tuple[Policy, ...],
    limits: list[list[str]],
) -> None:
    film = str(add_item(hangar, 1, {"film.mp4": bytes_of(SIZE, 1)}))
    offer(hangar, aircraft, clock)
    seen = Ways(aircraft, monkeypatch, *ways)
    received = receive(hangar, aircraft, seen, clock)
    assert received.problems == []
    assert list(visible(aircraft)) == [film]
    assert seen.words == limits, "it is begun anew once"
    assert received.moved.received < SIZE * 1.01 + 200_000


def test_each_group_is_judged_by_the_way_there_is_then(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = str(add_item(hangar, 1, {"film.mp4": bytes_of(9_000_000, 1)}, priority=1))
    add_item(hangar, 2, {"film.mp4": bytes_of(9_000_000, 2)})
    offer(hangar, aircraft, clock)
    ways = [METERED, METERED, WIFI]
    monkeypatch.setattr(policy, "now", lambda settings: ways[-1])
    link = link_to(hangar, "EC-TAA")

    class Leaves(Link):
        def fetch(self, *what: object, **how: object) -> Moved:
            moved = link.fetch(*what)  # type: ignore[arg-type]
            ways.pop()
            return moved

    leaves = Leaves(link.host, link.shell)
    content.receive(aircraft.settings, leaves, lambda line: None, clock=clock)
    assert list(visible(aircraft)) == [first]
    assert len(holding.read(aircraft.settings.content_dir).waiting) == 1


@pytest.mark.parametrize("other", [Policy(), Policy("wlan2"), Policy("wlan1", LinkRule(kbit=1))])
def test_a_way_that_forbids_nothing_or_is_not_known_ends_nothing(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch, other: Policy
) -> None:
    add_item(hangar, 1, {"film.mp4": bytes_of(SIZE, 1)})
    offer(hangar, aircraft, clock)
    asked: list[bool] = []
    ways = [WIFI]
    monkeypatch.setattr(policy, "now", lambda settings: ways[0])

    class Asks(Link):
        def fetch(self, *what: object, stop: Callable[[], bool], **how: object) -> Moved:
            ways[0] = other
            monkeypatch.setattr("sync.watch.LINK_LOOK_S", -1)
            asked.append(stop())
            return Moved()

    asks = Asks("hangar", ["false"])
    content.receive(aircraft.settings, asks, lambda line: None, clock=clock)
    assert asked == [False]


def test_the_way_is_looked_at_every_few_seconds_only(tmp_path: Path) -> None:
    now, asked = [0.0], []

    def diverted() -> bool:
        asked.append(now[0])
        return False

    no = [lambda left_s: False] * 2
    watch = Watch(tmp_path, [], *no, diverted, lambda: False, clock=lambda: now[0])
    for tenth in range(0, 100, 5):
        now[0] = tenth / 10
        watch()
    assert LINK_LOOK_S >= 2
    assert len(asked) <= 10 / LINK_LOOK_S
