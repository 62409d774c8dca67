"""What an offer of content costs, and that it finds what is lacking or another file all the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from sync import issue, publish, tree
from tests.sync.ends import End, run
from tests.sync.test_content import add_item

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Clock = Callable[[], datetime]
NAMES = [f"EC-TA{letter}" for letter in "ABCDEFG"]
FILES = 60


@pytest.fixture
def fleet(hangar: End) -> End:
    """The hangar; seven aircraft of one audience, a film of many files."""
    for name in NAMES:
        run(
            hangar, f"insert into aircraft (name, tower, airline) values ('{name}', '{name}', 'TA')"
        )
    add_item(hangar, 1, {f"hls/{number}.ts": f"film {number}".encode() for number in range(FILES)})
    return hangar


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the manifests that were parsed."""
    found: list[int] = []
    unseal = issue.unseal
    monkeypatch.setattr(
        issue, "unseal", lambda data, verify: (found.append(len(data)), unseal(data, verify))[1]
    )
    return found


def blobs(fleet: End, name: str) -> dict[str, Path]:
    folder = fleet.settings.sync_dir / "outbox" / name / "content" / "blobs"
    return {path.name: path for path in folder.glob("??/*")}


def is_offered(fleet: End, count: int) -> None:
    """Each aircraft has just the links that it should have, to the hangar's own files."""
    for name in NAMES:
        there = blobs(fleet, name)
        assert len(there) == count
        for sha256, path in there.items():
            assert path.samefile(tree.blob_path(fleet.settings.content_dir, sha256))


def test_the_aircraft_of_an_audience_cost_one_parse(
    fleet: End, clock: Clock, parsed: list[int]
) -> None:
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    assert len(parsed) == 1
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    assert len(parsed) == 2
    add_item(fleet, 2, {"p.pdf": b"news"})
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    assert len(parsed) == 4, "and the former one, to tell what is new"
    is_offered(fleet, FILES + 1)


def test_what_is_there_is_not_looked_at_file_by_file(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    looks: list[object] = []
    stat = os.stat
    monkeypatch.setattr(
        os, "stat", lambda *args, **more: (looks.append(args), stat(*args, **more))[1]
    )
    publish.offer(fleet.engine, fleet.settings, NAMES[0], whole=True)
    assert 0 < len(looks) < FILES


def test_a_publication_mends_what_is_wrong_in_a_folder(fleet: End, clock: Clock) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    lost, changed, *_ = blobs(fleet, NAMES[3]).values()
    lost.unlink()
    changed.unlink()
    changed.write_bytes(b"another file")
    (changed.parent / f".{changed.name}.new").write_bytes(b"left")
    (changed.parent / ("e" * 64)).write_bytes(b"of nobody")
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    is_offered(fleet, FILES)


def test_what_was_imported_again_takes_the_former_s_place(fleet: End, clock: Clock) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    add_item(fleet, 2, {"again": b"film 7"})
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    is_offered(fleet, FILES)


def test_what_is_named_no_more_goes_once_the_manifest_has_come(fleet: End, clock: Clock) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    add_item(fleet, 2, {"p.pdf": b"news"})
    run(fleet, "update item set published = false where kind = 'film' and title ->> 'en' = '1'")
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    is_offered(fleet, 1)
