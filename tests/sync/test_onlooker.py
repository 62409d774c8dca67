"""What is seen from beside a synchronisation: what waits, what moves, how fast, what comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from sync import files, holding, policy, seal, tree
from sync.manifest import File, Item, Manifest
from sync.manifest import seal as seal_manifest
from sync.onlooker import Coming, Onlooker, Seen
from sync.policy import Policy
from tests.sync.ends import End, add_events, run

pytestmark = pytest.mark.postgres
PAPER = Item(str(UUID(int=1)), "newspaper", 10, None, None, (File("a.pdf", "a" * 64, 1000),))
FILM = Item(
    str(UUID(int=2)),
    "film",
    100,
    None,
    None,
    (File("1.ts", "b" * 64, 9_000_000), File("2.ts", "c" * 64, 1_000_000)),
)


class Ticks:
    """A clock that only the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def onlooker(aircraft: End, ticks: Ticks, clock: Callable[[], datetime]) -> Onlooker:
    return Onlooker(aircraft.settings, aircraft.engine, ticks, clock)


def follow(end: End, *items: Item) -> None:
    data = seal_manifest(Manifest(items), lambda told: b"signature")
    files.write_durably(end.settings.content_dir / "manifest.json", data)


def arrives(end: End, file: File, size: int) -> None:
    staging = end.settings.content_dir / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    (staging / file.sha256).write_bytes(b"x" * size)


def taken(end: End, file: File) -> None:
    staged = end.settings.content_dir / "staging" / file.sha256
    files.move(staged, tree.blob_path(end.settings.content_dir, file.sha256))


def test_where_nothing_is_due_nothing_is_said(onlooker: Onlooker) -> None:
    assert onlooker.look() == Seen()
    assert Seen().words() == "nothing is left to come"


def test_rows_that_are_not_acknowledged_are_told_by_stream(
    aircraft: End, onlooker: Onlooker
) -> None:
    add_events(aircraft, 30)
    (sealed,) = seal.seal_all(aircraft.engine, aircraft.settings)
    seen = onlooker.look()
    assert seen.up == {"use": {"rows": 30, "bytes": sealed.bytes}}
    assert seen.words() == "not acknowledged: use 30 rows"


def test_what_moves_how_fast_and_what_comes_next(
    aircraft: End, onlooker: Onlooker, ticks: Ticks
) -> None:
    title = '{"de": "Der Kurier", "en": "The Courier"}'
    run(
        aircraft,
        "set session_replication_role = 'replica'",
        f"insert into item (id, kind, title) values ('{PAPER.id}', 'newspaper', '{title}')",
    )
    follow(aircraft, FILM, PAPER)
    # What a former run left did not come just now.
    arrives(aircraft, FILM.files[0], 4_000_000)
    first = onlooker.look()
    assert (first.files, first.bytes, first.moving, first.left_s) == (3, 6_001_000, None, None)
    assert [one.title or one.kind for one in first.next] == ["The Courier", "film"]

    ticks.now = 10
    arrives(aircraft, FILM.files[0], 5_000_000)
    seen = onlooker.look()
    assert seen.moving == Coming(FILM.id, "film", "", 10_000_000, 5_000_000)
    assert (seen.bytes_per_s, seen.left_s) == (100_000, 50)
    assert seen.next == (Coming(PAPER.id, "newspaper", "The Courier", 1000),)
    assert seen.words() == (
        f"film {FILM.id} 5.0 MB of 10 MB, 100 kB/s, 50 s left; then newspaper The Courier 1.0 kB"
    )


def test_a_file_that_is_whole_counts_once(aircraft: End, onlooker: Onlooker, ticks: Ticks) -> None:
    follow(aircraft, FILM)
    onlooker.look()
    ticks.now = 10
    arrives(aircraft, FILM.files[0], 9_000_000)
    assert onlooker.look().bytes == 1_000_000
    taken(aircraft, FILM.files[0])
    ticks.now = 20
    seen = onlooker.look()
    assert (seen.files, seen.bytes, seen.moving) == (1, 1_000_000, None)
    assert seen.bytes_per_s == 450_000
    ticks.now = 31
    assert onlooker.look().bytes_per_s == 0, "what came long ago says nothing of now"


def test_what_is_here_and_waits_to_be_checked_is_not_told_as_coming(
    aircraft: End, onlooker: Onlooker
) -> None:
    follow(aircraft, FILM, PAPER)
    arrives(aircraft, PAPER.files[0], 1000)
    assert [one.kind for one in onlooker.look().next] == ["film"]


def test_the_time_before_the_first_byte_does_not_count(
    aircraft: End, onlooker: Onlooker, ticks: Ticks
) -> None:
    follow(aircraft, FILM)
    for ticks.now in (0, 5, 10):
        onlooker.look()
    ticks.now = 12
    arrives(aircraft, FILM.files[0], 1_000_000)
    assert onlooker.look().bytes_per_s == 500_000


def test_another_manifest_is_followed_and_counts_nothing_as_come(
    aircraft: End, onlooker: Onlooker, ticks: Ticks
) -> None:
    follow(aircraft, FILM, PAPER)
    onlooker.look()
    ticks.now = 10
    follow(aircraft, PAPER)
    seen = onlooker.look()
    assert (seen.files, seen.bytes, seen.bytes_per_s) == (1, 1000, 0)


def waits(end: End, *, version: str = "", room: int = 0, link: str = "") -> None:
    """The film waits, as a synchronisation of before left it."""
    manifest = holding.offered(end.settings)
    assert manifest is not None
    waiting = holding.Waiting(FILM.id, "film", 10_000_000, "a reason", room, link)
    state = holding.State(version or manifest.version, [waiting])
    state.write(end.settings.content_dir)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[Policy]:
    """The way that there is, in a list of one."""
    ways = [Policy("wwan0")]
    monkeypatch.setattr(policy, "now", lambda settings: ways[0])
    return ways


@pytest.mark.parametrize("how", [{}, {"room": 2**60}, {"link": "wwan0"}])
def test_what_waits_is_not_told_as_coming(
    aircraft: End, onlooker: Onlooker, ways: list[Policy], how: dict[str, Any]
) -> None:
    follow(aircraft, FILM, PAPER)
    waits(aircraft, **how)
    assert onlooker.look().files == 1


@pytest.mark.parametrize("how", [{"version": "another"}, {"room": 1}, {"link": "wlan1"}])
def test_what_waited_and_does_so_no_more_is_coming(
    aircraft: End, onlooker: Onlooker, ways: list[Policy], how: dict[str, Any]
) -> None:
    follow(aircraft, FILM, PAPER)
    waits(aircraft, **how)
    assert onlooker.look().files == 3
    assert holding.local_state(aircraft.settings)["missing_files"] == 3


def test_what_waits_for_another_link_is_coming_when_that_is_there(
    aircraft: End, onlooker: Onlooker, ways: list[Policy]
) -> None:
    follow(aircraft, FILM)
    waits(aircraft, link="wwan0")
    said = []
    # While one way goes and another comes there is none for a moment.
    for ways[0] in (Policy("wwan0"), Policy(), Policy("wlan1"), Policy()):
        said.append(onlooker.look().files)
    assert said == [0, 0, 2, 2]


def test_a_file_of_what_waits_comes_with_another_that_has_it(
    aircraft: End, onlooker: Onlooker, ways: list[Policy]
) -> None:
    cover = Item(str(UUID(int=3)), "newspaper", 200, None, None, FILM.files[1:])
    follow(aircraft, FILM, cover)
    waits(aircraft, link="wwan0")
    seen = onlooker.look()
    assert (seen.files, [one.id for one in seen.next]) == (1, [cover.id])
