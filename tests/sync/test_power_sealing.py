"""Power that goes at any moment of sealing, on a model of the disk: nothing is lost, nothing is half.

What the database committed is on its disk; of our files what was not synced may be lost, in part or whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from sync import files, seal
from tests.disk import Image, images, lay_out
from tests.sync.ends import End, add_events, ids
from tests.sync.test_seal import sealed_files, sent_keys
from tests.watcher import Killed, Watcher

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

MOST = 4  # disks that are looked at after each operation
LEDGER = ("batch", "dirty")


class Broken(AssertionError):
    """A disk on which what is promised does not hold."""


@dataclass
class Ledger:
    """What the database says of sealing, kept so that each disk meets what it said at that moment."""

    end: End

    def now(self) -> dict[str, list[dict[str, Any]]]:
        with self.end.engine.connect() as connection:
            return {
                name: [
                    dict(row._mapping)
                    for row in connection.execute(text(f"select * from sync.{name}"))
                ]
                for name in LEDGER
            }

    def put(self, said: dict[str, list[dict[str, Any]]]) -> None:
        with self.end.engine.begin() as connection:
            for name, rows in said.items():
                connection.execute(text(f"delete from sync.{name}"))
                for row in rows:
                    names = ", ".join(row)
                    values = ", ".join(f":{one}" for one in row)
                    connection.execute(
                        text(
                            f"insert into sync.{name} ({names}) overriding system value "
                            f"values ({values})"
                        ),
                        row,
                    )


@dataclass
class Sealing:
    """An aircraft whose sync folder is the model's disk; a change-set is published, others are to come."""

    end: End
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.end)
        self.root.mkdir(parents=True)

    @property
    def root(self) -> Path:
        return self.end.settings.sync_dir

    def before(self) -> None:
        for count in (3, 2):
            add_events(self.end, count)
            seal.seal(self.end.engine, self.end.settings, "use")
        add_events(self.end, 2)

    def do(self, watcher: Watcher) -> None:
        def at(step: str) -> None:
            # Between them no commit is made.
            watcher.note(self.ledger.now())

        seal.seal(self.end.engine, self.end.settings, "use", at=at)

    def check(self) -> None:
        """What is in the outbox is what the ledger says, and what was published is there."""
        known = {
            files.sealed_path(self.end.settings, "use", row["epoch"], row["seq"]): row
            for row in self.ledger.now()["batch"]
        }
        there = {
            path: files.sha256_of(path) for path in files.outbox(self.end.settings).rglob("*.cs")
        }
        for path, row in known.items():
            if row["state"] == "published" and there.get(path) != row["sha256"]:
                raise Broken(f"{path.name} was published, and is {there.get(path)}")
        for path, sha256 in there.items():
            if path not in known or known[path]["sha256"] != sha256:
                raise Broken(f"{path.name} lies in the outbox as {sha256}, and nobody sealed that")

    def recover(self) -> None:
        """The next run seals the rest: each row once, numbered without a gap, each on its predecessor."""
        seal.seal(self.end.engine, self.end.settings, "use")
        self.check()
        headers = sealed_files(self.end)
        hashes = [seal.changeset.GENESIS, *(row["sha256"] for row in self.batches())]
        if [header.seq for header in headers] != list(range(1, len(headers) + 1)):
            raise Broken(f"expected no gap, found {[header.seq for header in headers]}")
        if [header.prev_sha256 for header in headers] != hashes[:-1]:
            raise Broken("a change-set does not name its predecessor")
        if sent_keys(self.end) != ids(self.end):
            raise Broken("a row is not sealed, or twice")
        left = list(files.tmp(self.end.settings).glob("*"))
        if left:
            raise Broken(f"left: {left}")

    def batches(self) -> list[dict[str, Any]]:
        return sorted(self.ledger.now()["batch"], key=lambda row: int(row["seq"]))


def broken(sealing: Sealing, watcher: Watcher, began: Any, first: int = 0) -> Iterator[str]:
    """Looks at each disk that a cut may leave, before and after the next run, and tells what is broken."""
    for count, image in disks(watcher, first):
        notes = [op.note for op in watcher.ops[:count] if op.what == "note"]
        lay_out(image, sealing.root)
        sealing.ledger.put(notes[-1] if notes else began)
        try:
            sealing.check()
            sealing.recover()
        except (Broken, OSError) as error:
            last = watcher.ops[count - 1]
            yield f"after {count} operations, {last.what} {last.names}: {error}"


def disks(watcher: Watcher, first: int = 0) -> Iterator[tuple[int, Image]]:
    """Yields each disk that may be left, with how many operations were done."""
    known: set[tuple[object, ...]] = set()
    noted = 0
    for count in range(first, len(watcher.ops) + 1):
        noted += count > 0 and watcher.ops[count - 1].what == "note"
        for image in images(watcher.image, watcher.ops[:count], Random(count), MOST):
            one = (noted, *sorted(image.items(), key=lambda item: item[0]))
            if one not in known:
                known.add(one)
                yield count, image


def watched(sealing: Sealing, **more: Any) -> tuple[Watcher, Any]:
    began = sealing.ledger.now()
    watcher = Watcher(sealing.root, **more)
    with watcher.watching(), suppress(Killed):
        sealing.do(watcher)
    return watcher, began


@pytest.fixture
def sealing(aircraft: End) -> Sealing:
    return Sealing(aircraft)


@pytest.mark.parametrize("first", [True, False], ids=["the first ever", "a later one"])
def test_a_power_cut_at_any_moment_of_sealing_loses_nothing(sealing: Sealing, first: bool) -> None:
    if first:
        add_events(sealing.end, 4)
    else:
        sealing.before()
    watcher, began = watched(sealing)
    assert watcher.places <= {*SEAL_SYNCS, *SEAL_AGAIN, *OUTSIDE}
    assert list(broken(sealing, watcher, began)) == []


# Each is needed: without it some cut breaks what is promised. True: only when sealing for the first time.
SEAL_SYNCS = {
    "export.write": False,
    "files.fsync of files.move of seal._seal_one": False,
    "files.fsync of files.make_folder of files.move of seal._seal_one": True,
}
# What a restored database is noticed by: a cut may take it back, and then it is behind the ledger.
OUTSIDE = (
    "files.write_beside of files.write_durably of epoch.note",
    "files.fsync of files.move of files.write_durably of epoch.note",
    "files.fsync of files.make_folder of files.write_beside of files.write_durably of epoch.note",
)
SEAL_AGAIN = ("files.fsync of seal._recover", "files.fsync of files.move of seal._recover")


@pytest.mark.parametrize("place", SEAL_SYNCS)
def test_each_sync_of_sealing_is_needed(sealing: Sealing, place: str) -> None:
    if SEAL_SYNCS[place]:
        add_events(sealing.end, 4)
    else:
        sealing.before()
    watcher, began = watched(sealing, lost=lambda one: one == place)
    assert watcher.first_lost is not None
    assert next(broken(sealing, watcher, began, first=watcher.first_lost), "")


def killed(sealing: Sealing, lost: str = "") -> Iterator[str]:
    """Kills a run after each operation, lets the next one end, and then cuts the power.

    What a killed process left unsynced is as lost to the power as what the next one leaves.
    """
    sealing.before()
    began = sealing.ledger.now()
    start = Watcher(sealing.root).image
    moments = len(watched(sealing)[0].ops)
    for moment in range(1, moments):
        lay_out(start, sealing.root)
        sealing.ledger.put(began)
        watcher = Watcher(sealing.root, kill_at=moment)
        for _ in ("killed", "to its end"):
            with watcher.watching(), suppress(Killed):
                sealing.do(watcher)
            watcher.kill_at, watcher.lost = -1, lambda place: place == lost
        watcher.note(sealing.ledger.now())
        yield from broken(sealing, watcher, began, first=len(watcher.ops))


@pytest.mark.slow
def test_a_power_cut_after_a_sealing_that_was_killed_loses_nothing(sealing: Sealing) -> None:
    assert list(killed(sealing)) == []


@pytest.mark.slow
@pytest.mark.parametrize("lost", SEAL_AGAIN)
def test_what_a_killed_sealing_left_must_be_synced(sealing: Sealing, lost: str) -> None:
    assert next(killed(sealing, lost), "")
