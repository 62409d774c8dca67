"""Power that goes at any moment of an eviction, on a model of the disk: what is shown is whole still."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from sync import files, tree
from sync.manifest import File, Item
from tests.disk import Image, Op, images, lay_out
from tests.watcher import Watcher

pytestmark = pytest.mark.slow

MOST = 4


def item(number: int, *contents: bytes) -> Item:
    listed = tuple(
        File(f"part/{n}", hashlib.sha256(data).hexdigest(), len(data))
        for n, data in enumerate(contents)
    )
    return Item(str(UUID(int=number)), "film", 100, None, None, listed)


OLD, NEW, LOW = item(1, b"old"), item(2, b"new", b"newer"), item(3, b"low", b"old")
CONTENTS = {hashlib.sha256(data).hexdigest(): data for data in (b"old", b"new", b"newer", b"low")}


class Broken(AssertionError):
    """A disk on which something half is shown."""


def stage(content: Path, *some: Item) -> None:
    for file in (file for one in some for file in one.files):
        staged = content / "staging" / file.sha256
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(CONTENTS[file.sha256])


def take(content: Path, *some: Item) -> None:
    """As `sync.content` does with what was received."""
    for file in (file for one in some for file in one.files):
        staged = content / "staging" / file.sha256
        if staged.exists():
            files.fsync(staged)
            files.move(staged, tree.blob_path(content, file.sha256))


def hashes(*some: Item) -> set[str]:
    return {file.sha256 for one in some for file in one.files}


def check(content: Path, allowed: list[list[Item]]) -> None:
    """What is shown is one of the sets that were to be shown, each file with the bytes of its hash."""
    named = tree.shown(content)
    sets = [{one.id: sorted(file.path for file in one.files) for one in some} for some in allowed]
    if named not in sets:
        raise Broken(f"{named} is shown")
    if (
        named
        and json.loads((content / "current" / "links.json").read_bytes()).keys() != named.keys()
    ):
        raise Broken("the lists say different things")
    for one in (one for one in (OLD, NEW, LOW) if one.id in named):
        for file in one.files:
            path = content / "current" / "items" / one.id / file.path
            if not path.is_file() or path.read_bytes() != CONTENTS[file.sha256]:
                raise Broken(f"{path} is not what it should be")


def disks(watcher: Watcher) -> Iterator[Image]:
    """What a cut after each operation may leave."""
    chance = Random(1)
    for count in range(len(watcher.ops) + 1):
        ops: list[Op] = watcher.ops[:count]
        yield from images(watcher.image, ops, chance, MOST)


def comes(content: Path) -> None:
    take(content, NEW)
    tree.switch(content, [OLD, NEW])
    tree.tidy(content, hashes(OLD, NEW))


def goes(content: Path) -> None:
    tree.switch(content, [OLD])
    tree.tidy(content, hashes(OLD, NEW), former=False)


def makes_way(content: Path) -> None:
    goes(content)
    comes(content)


@pytest.fixture
def content(memory: Path) -> Path:
    place = memory / "content"
    place.mkdir()
    return place


CASES = [
    (goes, [OLD, LOW], [[OLD, LOW], [OLD]]),
    (makes_way, [OLD, LOW], [[OLD, LOW], [OLD], [OLD, NEW]]),
]


def begun(content: Path, before: list[Item]) -> None:
    for some in ([OLD], before):
        stage(content, *some)
        take(content, *some)
        tree.switch(content, some)
    stage(content, NEW)


@pytest.mark.parametrize(("act", "before", "allowed"), CASES)
def test_after_any_cut_what_is_shown_is_whole_and_the_next_run_ends_it(
    content: Path,
    memory: Path,
    act: Callable[[Path], None],
    before: list[Item],
    allowed: list[list[Item]],
) -> None:
    begun(content, before)
    watcher = Watcher(content)
    with watcher.watching():
        act(content)
    check(content, allowed[-1:])
    after = memory / "after"
    after.mkdir()
    seen = 0
    for image in disks(watcher):
        lay_out(image, after)
        check(after, allowed)
        stage(after, NEW)
        act(after)
        check(after, allowed[-1:])
        seen += 1
    assert seen > 20
