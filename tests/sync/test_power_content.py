"""Power that goes at any moment of taking and showing content, on a model of the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from ci.faults.sync import seen
from ci.faults.sync.nodes import Node
from sync import content, files, publish, tree
from sync.rsync import Link, Moved
from tests.disk import Image, images, lay_out
from tests.sync.ends import End, link_to, run
from tests.sync.test_content import add_item, bytes_of
from tests.watcher import Watcher

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

MOST = 4  # disks that are looked at after each operation


class Broken(AssertionError):
    """A disk on which what is promised does not hold."""


@dataclass(frozen=True)
class Here(Link):
    """A link that brings files as rsync does with --inplace and --fsync, and no process does it."""

    hangar: Path = Path()

    def fetch(self, hashes: Iterable[str], staging: Path, **_: object) -> Moved:
        staging.mkdir(parents=True, exist_ok=True)
        for sha256 in hashes:
            with (staging / sha256).open("wb") as out:
                out.write(tree.blob_path(self.hangar, sha256).read_bytes())
                out.flush()
                os.fsync(out.fileno())
        return Moved()


@dataclass
class Bench:
    """An aircraft whose content folder is the model's disk, and a hangar that offers it something."""

    aircraft: End
    hangar: End

    @property
    def root(self) -> Path:
        return self.aircraft.settings.content_dir

    @property
    def node(self) -> Node:
        return Node(self.aircraft.settings, self.aircraft.engine, "")

    def offer(self, *items: int) -> None:
        """Offers these items and no others; each has a file of its own, and one that all have."""
        run(self.hangar, "update item set published = false")
        for number in items:
            run(self.hangar, f"delete from item where id::text like '%{number:012d}'")
            own, common = bytes_of(40, number), bytes_of(60, 1)
            add_item(self.hangar, number, {"a/own": own, "common": common}, kind="newspaper")
        publish.publish(self.hangar.engine, self.hangar.settings)
        into = files.inbox(self.aircraft.settings, files.HANGAR).parent
        link_to(self.hangar, self.aircraft.settings.node).pull(into)

    def receive(self) -> list[str]:
        link = Here("hangar", (), hangar=self.hangar.settings.content_dir)
        return content.receive(self.aircraft.settings, link, lambda line: None).problems

    def check(self) -> None:
        """What passengers see is whole, and what has a blob's name and size is that blob."""
        half = seen.half_visible(self.node)
        if half:
            raise Broken(f"half is shown: {half}")
        if (self.root / "current").is_symlink() and not (self.root / "current").is_dir():
            raise Broken("current points nowhere")
        sizes = {40, 60}
        for blob in (self.root / "blobs").glob("??/*"):
            if blob.stat().st_size in sizes and files.sha256_of(blob) != blob.name:
                raise Broken(f"blob {blob.name} is not what it is called")

    def recover(self, items: set[int]) -> None:
        """The next synchronisation shows just what is offered, whole, and leaves nothing."""
        problems = self.receive()
        self.check()
        shown = {int(name.replace("-", ""), 16) for name in tree.shown(self.root)}
        left = seen.left_over(self.node)
        if problems or left or shown != items:
            raise Broken(f"after the next run: {problems}, {left}, shown are {shown}")


@pytest.fixture
def bench(aircraft: End, hangar: End) -> Bench:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    made = Bench(aircraft, hangar)
    made.root.mkdir(parents=True)
    return made


def disks(watcher: Watcher, first: int = 0) -> Iterator[tuple[int, Image]]:
    """Yields each disk that may be left, with how many operations were done."""
    known: set[frozenset[tuple[int, object]]] = set()
    for count in range(first, len(watcher.ops) + 1):
        for image in images(watcher.image, watcher.ops[:count], Random(count), MOST):
            one = frozenset(image.items())
            if one not in known:
                known.add(one)
                yield count, image


def broken(bench: Bench, watcher: Watcher, items: set[int], first: int = 0) -> Iterator[str]:
    for count, image in disks(watcher, first):
        lay_out(image, bench.root)
        try:
            bench.check()
            bench.recover(items)
        except (Broken, OSError) as error:
            last = watcher.ops[count - 1]
            yield f"after {count} operations, {last.what} {last.names}: {error}"


def watched(bench: Bench, lost: str = "") -> Watcher:
    bench.root.mkdir(exist_ok=True)
    watcher = Watcher(bench.root, lambda place: place == lost)
    with watcher.watching():
        assert bench.receive() == []
    return watcher


# Each is needed: without it some cut breaks what is promised. Without the others a file comes again.
SYNCS = (
    "files.fsync of files.move of tree.switch",
    "files.fsync of tree.switch",
    "files.write_beside of files.write_durably of tree.switch",
)


@pytest.mark.parametrize("again", [False, True], ids=["the first", "another edition"])
def test_a_power_cut_at_any_moment_shows_nothing_half(bench: Bench, again: bool) -> None:
    bench.offer(1, 2)
    if again:
        bench.receive()
        bench.offer(2, 3)
    watcher = watched(bench)
    assert list(broken(bench, watcher, {2, 3} if again else {1, 2})) == []


@pytest.mark.parametrize("place", SYNCS)
def test_each_sync_of_showing_is_needed(bench: Bench, place: str) -> None:
    bench.offer(1, 2)
    watcher = watched(bench, lost=place)
    assert watcher.first_lost is not None
    assert next(broken(bench, watcher, {1, 2}, first=watcher.first_lost), "")
