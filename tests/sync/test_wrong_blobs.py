"""Blobs that are not what the manifest says: refused, named, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from common.database import session as database_session
from common.schema import Asset
from sync import content, holding, publish, shown, tree
from sync.content import TRIES
from sync.rsync import Link, Moved
from tests.sync.ends import End, link_to, run
from tests.sync.test_content import add_item, bytes_of, offer, receive, visible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Clock = Callable[[], datetime]


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    return hangar


@pytest.fixture
def two(hangar: End, aircraft: End, clock: Clock) -> tuple[str, Path]:
    """A good item, and the blob at the hangar of another one."""
    good = str(add_item(hangar, 1, {"a": b"good"}))
    add_item(hangar, 2, {"b": bytes_of(20_000, 2)})
    offer(hangar, aircraft, clock)
    blobs = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "content" / "blobs"
    (bad,) = [path for path in blobs.glob("??/*") if path.stat().st_size == 20_000]
    return good, bad


def spoil(blob: Path, data: bytes) -> None:
    blob.unlink()
    blob.write_bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bytes_of(20_000, 3), "expected sha256"),
        (bytes_of(20_000, 2)[:19_000], "expected 20000 bytes, found 19000"),
        (b"", "expected 20000 bytes, found 0"),
        (bytes_of(20_000, 2) + b"more", "did not come"),
    ],
)
def test_one_that_is_wrong_is_named_and_the_rest_is_shown(
    aircraft: End, hangar: End, clock: Clock, two: tuple[str, Path], data: bytes, said: str
) -> None:
    good, bad = two
    spoil(bad, data)
    received = receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [good]
    (problem,) = received.problems
    assert problem.startswith("b: ")
    assert said in problem
    spoil(bad, bytes_of(20_000, 2))
    assert receive(hangar, aircraft, clock).problems == []
    assert len(visible(aircraft)) == 2


def test_one_that_is_wrong_again_and_again_is_not_fetched_for_ever(
    aircraft: End, hangar: End, clock: Clock, two: tuple[str, Path]
) -> None:
    spoil(two[1], bytes_of(20_000, 3))
    for _ in range(TRIES):
        assert receive(hangar, aircraft, clock).moved.received > 20_000
    last = receive(hangar, aircraft, clock)
    assert last.moved.received == 0
    told = holding.local_state(aircraft.settings, clock=clock)
    assert (told["missing_files"], told["waiting"]["items"]) == (0, 1)
    assert f"b came wrong {TRIES} times" in told["waiting"]["why"]
    # It was mended, and something was published.
    spoil(two[1], bytes_of(20_000, 2))
    add_item(hangar, 3, {"c": b"new"})
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert len(visible(aircraft)) == 3


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_no_file_in_the_hangars_blobs_is_left_there(
    aircraft: End, hangar: End, clock: Clock, two: tuple[str, Path], kind: str
) -> None:
    good, bad = two
    bad.unlink()
    bad.symlink_to("/etc/passwd") if kind == "link" else bad.mkdir()
    received = receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [good]
    assert any("did not come" in problem or "found" in problem for problem in received.problems)


def test_a_link_among_what_was_received_is_not_followed(
    aircraft: End, hangar: End, clock: Clock, two: tuple[str, Path]
) -> None:
    good, bad = two
    outside = aircraft.settings.state_dir / "outside"
    outside.write_bytes(b"not ours")
    home = aircraft.settings.content_dir
    staging = home / "staging"

    class Planting(Link):
        def fetch(self, hashes: object, to: Path, **more: object) -> Moved:
            moved = link_to(hangar, "EC-TAA").fetch(hashes, to, **more)  # type: ignore[arg-type]
            (staging / bad.name).unlink()
            (staging / bad.name).symlink_to(outside)
            return moved

    link = Planting("hangar", ["false"])
    received = content.receive(aircraft.settings, link, lambda _: None, clock=clock)
    assert "expected a file, found something else" in received.problems[0]
    assert outside.read_bytes() == b"not ours"
    assert outside.stat().st_nlink == 1
    assert list(visible(aircraft)) == [good]
    assert receive(hangar, aircraft, clock).problems == []


def test_one_that_grows_while_it_comes_is_stopped(
    aircraft: End, hangar: End, clock: Clock, two: tuple[str, Path]
) -> None:
    good, bad = two
    staging = aircraft.settings.content_dir / "staging"

    class Growing(Link):
        def fetch(self, hashes: object, to: Path, **more: object) -> Moved:
            link_to(hangar, "EC-TAA").fetch(hashes, to)  # type: ignore[arg-type]
            with (staging / bad.name).open("ab") as file:
                file.write(b"more and more")
            stop = more["stop"]
            assert callable(stop)
            return Moved(stopped=stop())

    link = Growing("hangar", ["false"])
    received = content.receive(aircraft.settings, link, lambda _: None, clock=clock)
    assert "more than its 20000 bytes came" in received.problems[0]
    assert not (staging / bad.name).exists()
    assert receive(hangar, aircraft, clock).problems == []
    assert good in visible(aircraft)


def test_a_size_in_the_manifest_that_is_wrong_is_named(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    add_item(hangar, 1, {"a": b"good"})
    add_item(hangar, 2, {"a": b"good", "b": b"other"})
    with database_session(hangar.engine) as rows:
        for asset in rows.query(Asset).filter_by(path="b"):
            blob = tree.blob_path(hangar.settings.content_dir, asset.sha256)
            blob.chmod(0o644)
            blob.write_bytes(b"longer than it was")
            asset.size = 18
    offer(hangar, aircraft, clock)
    received = receive(hangar, aircraft, clock)
    assert any("expected sha256" in problem for problem in received.problems)
    assert len(visible(aircraft)) == 1


def test_windows_open_and_close_by_the_clock_when_nothing_is_synchronised(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    begins, ends = clock() + timedelta(hours=1), clock() + timedelta(hours=2)
    paper = str(add_item(hangar, 1, {"p": b"news"}, valid_from=begins, valid_to=ends))
    film = str(add_item(hangar, 2, {"f": b"film"}))
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    windows = shown.Windows(aircraft.settings, clock)
    seen = []
    for seconds in (0, 3599, 1, 3599, 1):
        clock.advance(seconds=seconds)  # type: ignore[attr-defined]
        windows.turn()
        seen.append(sorted(visible(aircraft)))
    assert seen == [[film], [film], sorted([film, paper]), sorted([film, paper]), [film]]
    # It was only hidden, as long as no synchronisation says that it may go.
    clock.advance(minutes=-90)  # type: ignore[attr-defined]
    windows.turn()
    assert sorted(visible(aircraft)) == [film]
    clock.advance(minutes=60)  # type: ignore[attr-defined]
    windows.turn()
    assert sorted(visible(aircraft)) == sorted([film, paper])


def test_what_could_not_be_hidden_is_tried_again(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_item(hangar, 1, {"p": b"news"}, valid_to=clock() + timedelta(hours=1))
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    windows = shown.Windows(aircraft.settings, clock)
    windows.turn()
    clock.advance(hours=1)  # type: ignore[attr-defined]

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shown, "show", full)
        windows.turn()
    clock.advance(minutes=1)  # type: ignore[attr-defined]
    windows.turn()
    assert visible(aircraft) == {}


def test_a_window_of_a_manifest_that_came_since_is_known(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    windows = shown.Windows(aircraft.settings, clock)
    add_item(hangar, 1, {"f": b"film"})
    for number in (1, 2):
        offer(hangar, aircraft, clock)
        receive(hangar, aircraft, clock)
        windows.turn()
        assert len(visible(aircraft)) == number
        if number == 1:
            ends = clock() + timedelta(minutes=20)
            add_item(hangar, 2, {"p": b"news"}, valid_to=ends)
        clock.advance(minutes=9)  # type: ignore[attr-defined]
    clock.advance(minutes=2)  # type: ignore[attr-defined]
    windows.turn()
    assert len(visible(aircraft)) == 1


def test_what_cannot_come_before_it_ends_is_not_sent(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sync.watch import Watch

    # A hundred bytes a second, since a first film told so.
    monkeypatch.setattr(Watch, "settled", lambda self: True)
    monkeypatch.setattr(Watch, "rate", lambda self: 100.0)
    add_item(hangar, 1, {"f": b"film"}, priority=1)
    soon = str(
        add_item(hangar, 2, {"p": bytes_of(1000, 2)}, valid_to=clock() + timedelta(seconds=60))
    )
    add_item(hangar, 3, {"q": bytes_of(10_000, 3)}, valid_to=clock() + timedelta(seconds=90))
    offer(hangar, aircraft, clock)
    lines: list[str] = []
    receive(hangar, aircraft, clock, lines)
    assert soon in visible(aircraft)
    assert len(visible(aircraft)) == 2
    told = holding.local_state(aircraft.settings, clock=clock)
    assert told["waiting"]["why"] == "it would come after 23 Nov 12:01, when it ends"
    assert told["missing_files"] == 0


def test_what_was_damaged_at_the_hangar_is_offered_anew_when_it_is_imported_again(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    data = bytes_of(5000, 1)
    film = str(add_item(hangar, 1, {"film.mp4": data}))
    offer(hangar, aircraft, clock)
    (blob,) = (hangar.settings.content_dir / "blobs").glob("??/*")
    blob.chmod(0o644)
    blob.write_bytes(bytes(5000))
    (problem,) = receive(hangar, aircraft, clock).problems
    assert "expected sha256" in problem
    given = hangar.settings.state_dir / "given" / "film.mp4"
    given.write_bytes(data)
    publish.store(hangar.settings, given)
    offer(hangar, aircraft, clock)
    assert receive(hangar, aircraft, clock).problems == []
    assert list(visible(aircraft)) == [film]
