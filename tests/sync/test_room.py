"""Room for content: what goes for what, what waits, and what a full disk does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from sync import holding, retention, tree
from tests.sync.ends import End, add_events, run
from tests.sync.test_content import add_item, bytes_of, offer, receive, visible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Clock = Callable[[], datetime]
MB = 1_000_000


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    return hangar


@dataclass
class Disk:
    """A disk of so many bytes on which content alone takes room."""

    size: int
    reserve: int = 0

    def __call__(self, content: Path) -> tuple[int, int]:
        used = {
            path.stat().st_ino: path.stat().st_size for path in content.rglob("*") if path.is_file()
        }
        data = sum(size for size in used.values() if size > 10_000)
        return self.size - data, self.reserve


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Six megabytes."""
    disk = Disk(6 * MB)
    monkeypatch.setattr(holding, "reserve", disk)
    return disk


def film(hangar: End, number: int, megabytes: float, priority: int = 100, **more: object) -> str:
    data = bytes_of(int(megabytes * MB), number)
    return str(add_item(hangar, number, {"f": data}, priority=priority, **more))


def test_the_lowest_priority_goes_for_what_is_higher(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    first, second = film(hangar, 1, 2, priority=100), film(hangar, 2, 2, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    paper = film(hangar, 3, 3, priority=10, kind="newspaper")
    offer(hangar, aircraft, clock)
    lines: list[str] = []
    received = receive(hangar, aircraft, clock, lines)
    assert received.problems == []
    assert sorted(visible(aircraft)) == sorted([first, paper])
    told = holding.local_state(aircraft.settings, clock=clock)
    assert told["evicted"]["items"] == 1
    assert told["evicted"]["bytes"] == 2 * MB
    assert "newspaper" in told["evicted"]["why"]
    # It is still offered, waits for room, and drives nothing else out.
    assert told["waiting"]["items"] == 1
    assert "no room: it lacks 1.0 MB" in told["waiting"]["why"]
    assert told["missing_files"] == 0, "nothing that a synchronisation could do is due"
    assert second in next(line for line in lines if "waits" in line)


def test_nothing_goes_in_vain(aircraft: End, hangar: End, clock: Clock, disk: Disk) -> None:
    kept = [film(hangar, 1, 2, priority=200), film(hangar, 2, 2, priority=100)]
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    film(hangar, 3, 5, priority=150)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == sorted(kept)


@pytest.mark.parametrize("priority", [100, 200])
def test_what_is_shown_stays_for_what_is_no_more_urgent(
    aircraft: End, hangar: End, clock: Clock, disk: Disk, priority: int
) -> None:
    kept = film(hangar, 1, 4, priority=100)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    film(hangar, 2, 4, priority=priority, valid_to=clock() + timedelta(days=1))
    small = film(hangar, 3, 1, priority=300)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == sorted([kept, small]), "what fits comes all the same"


def test_what_expired_goes_first_and_what_no_manifest_names(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    old = film(hangar, 1, 2, priority=1, valid_to=clock() + timedelta(hours=1))
    film(hangar, 2, 2, priority=1)
    low = film(hangar, 3, 2, priority=300)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert old in visible(aircraft)
    clock.advance(hours=2)  # type: ignore[attr-defined]
    run(hangar, f"update item set published = false where id = '{UUID(int=2)}'")
    new = film(hangar, 4, 4, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == sorted([low, new])
    assert "evicted" not in holding.local_state(aircraft.settings, clock=clock)


def test_the_reserve_is_left_free(aircraft: End, hangar: End, clock: Clock, disk: Disk) -> None:
    disk.reserve = 3 * MB
    film(hangar, 1, 4)
    fits = film(hangar, 2, 3, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [fits]


@pytest.mark.parametrize("gibibytes", [4, 16, 30, 64, 1000])
def test_what_content_leaves_free_is_enough_for_rows_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gibibytes: int
) -> None:
    total = gibibytes * 2**30
    disk = SimpleNamespace(free=total, total=total)
    monkeypatch.setattr(holding.shutil, "disk_usage", lambda path: disk)
    reserve = holding.reserve(tmp_path)[1]
    assert total * 5 // 100 <= reserve < total * 15 // 100
    assert retention.lacking(retention.Disk(reserve - reserve // 8, total)) == 0


def test_it_comes_when_there_is_room_again(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    disk.size = 1 * MB
    waits = film(hangar, 1, 4)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert holding.local_state(aircraft.settings, clock=clock)["missing_files"] == 0
    disk.size = 6 * MB
    assert holding.local_state(aircraft.settings, clock=clock)["missing_files"] == 1
    receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [waits]
    assert "waiting" not in holding.local_state(aircraft.settings, clock=clock)


def test_what_came_of_it_before_counts(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    one = film(hangar, 1, 4)
    offer(hangar, aircraft, clock)
    manifest_hash = next(iter((hangar.settings.content_dir / "blobs").glob("??/*"))).name
    staged = aircraft.settings.content_dir / "staging" / manifest_hash
    staged.parent.mkdir(parents=True)
    staged.write_bytes(bytes_of(4 * MB, 1)[: 3 * MB])
    disk.size = 4 * MB
    receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [one]


def test_a_file_that_two_items_share_stays_with_the_one_that_stays(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    shared, own = bytes_of(2 * MB, 1), bytes_of(2 * MB, 2)
    kept = str(add_item(hangar, 1, {"f": shared}, priority=50))
    add_item(hangar, 2, {"f": shared, "g": own}, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    paper = film(hangar, 3, 4, priority=10)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == sorted([kept, paper])


def test_what_expired_is_not_called_evicted_for_a_file_that_another_one_has(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    shared = bytes_of(2 * MB, 1)
    kept = str(add_item(hangar, 1, {"f": shared}, priority=5))
    add_item(hangar, 2, {"f": shared}, priority=300, valid_to=clock() + timedelta(hours=1))
    film(hangar, 3, 3, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    paper = film(hangar, 4, 4, priority=10)
    offer(hangar, aircraft, clock)
    clock.advance(hours=2)  # type: ignore[attr-defined]
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == sorted([kept, paper])
    assert holding.local_state(aircraft.settings, clock=clock)["evicted"]["items"] == 1


def test_what_is_here_is_looked_through_once_for_all_that_find_no_room(
    aircraft: End, hangar: End, clock: Clock, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 7):
        film(hangar, number, 6.5)
    offer(hangar, aircraft, clock)
    tidied, tidy = [], tree.tidy
    monkeypatch.setattr(
        tree, "tidy", lambda *some, **more: (tidied.append(more), tidy(*some, **more))
    )
    receive(hangar, aircraft, clock)
    assert holding.local_state(aircraft.settings, clock=clock)["waiting"]["items"] == 5
    assert tidied.count({"former": False}) == 1


def test_rows_that_were_not_sent_are_never_touched(
    aircraft: End, hangar: End, clock: Clock, disk: Disk
) -> None:
    from sync import files, seal

    add_events(aircraft, 100)
    seal.seal_all(aircraft.engine, aircraft.settings)
    sealed = {path: path.read_bytes() for path in files.outbox(aircraft.settings).rglob("*.cs")}
    film(hangar, 1, 5, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    film(hangar, 2, 5, priority=1)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert sealed
    assert {
        path: path.read_bytes() for path in files.outbox(aircraft.settings).rglob("*.cs")
    } == sealed


@pytest.fixture
def small(aircraft: End) -> Iterator[Path]:
    """The content of the aircraft on a real file system of 8 MiB."""
    if os.geteuid():
        pytest.skip("only root may mount")
    content = aircraft.settings.content_dir
    content.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", str(content)], check=True)
    yield content
    subprocess.run(["umount", "-l", str(content)], check=True)


def test_a_disk_that_fills_while_it_comes_is_given_back_what_it_took(
    aircraft: End, hangar: End, clock: Clock, small: Path
) -> None:
    first = film(hangar, 1, 2, priority=10)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    film(hangar, 2, 4, priority=20)
    last = film(hangar, 3, 0.3, priority=30)
    offer(hangar, aircraft, clock)
    free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize

    def look(content: Path) -> tuple[int, int]:
        # Somebody else's file comes between the look and the transfer.
        if not (small / "others").exists():
            (small / "others").write_bytes(bytes(free - 1 * MB))
        return free, 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holding, "reserve", look)
        received = receive(hangar, aircraft, clock)
    assert received.problems == []
    assert sorted(visible(aircraft)) == sorted([first, last])
    state = holding.local_state(aircraft.settings, clock=clock)
    assert "this disk takes no more" in state["waiting"]["why"]
    assert sum(path.stat().st_size for path in (small / "staging").iterdir()) == 0
    (small / "others").unlink()
    assert holding.local_state(aircraft.settings, clock=clock)["missing_files"] == 1
    receive(hangar, aircraft, clock)
    assert len(visible(aircraft)) == 3


def test_what_fills_the_disk_is_answered_by_eviction(
    aircraft: End, hangar: End, clock: Clock, small: Path
) -> None:
    film(hangar, 1, 3, priority=200)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    paper = film(hangar, 2, 3, priority=10)
    offer(hangar, aircraft, clock)
    free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
    (small / "others").write_bytes(bytes(free - 1 * MB))
    answers = [(free, 0)]

    def look(content: Path) -> tuple[int, int]:
        disk = os.statvfs(content)
        return answers.pop() if answers else (disk.f_bavail * disk.f_frsize, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holding, "reserve", look)
        assert receive(hangar, aircraft, clock).problems == []
    assert list(visible(aircraft)) == [paper]


def test_a_tree_that_cannot_be_built_leaves_the_one_that_is_shown(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = film(hangar, 1, 0.1)
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    two = film(hangar, 2, 0.1)
    offer(hangar, aircraft, clock)
    link, full = os.link, [True]

    def no_room(*arguments: object, **more: object) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        link(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tree.os, "link", no_room)
    received = receive(hangar, aircraft, clock)
    assert any("the disk is full" in problem for problem in received.problems)
    assert list(visible(aircraft)) == [one]
    full[0] = False
    assert receive(hangar, aircraft, clock).problems == []
    assert sorted(visible(aircraft)) == sorted([one, two])
