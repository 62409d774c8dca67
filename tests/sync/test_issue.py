"""A manifest and its head are issued together, whatever breaks off between the two."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sync import publish, state
from sync.audience import Audience
from sync.issue import HEAD, head_path, manifest_path, read_head
from sync.manifest import unseal
from tests.sync.ends import End, PowerCut, run
from tests.sync.test_content import add_item

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Clock = Callable[[], datetime]
NAMES = ("EC-TAA", "EC-TAB")


@pytest.fixture
def fleet(hangar: End, clock: Clock) -> End:
    """The hangar; two aircraft of two airlines, who are offered a film each."""
    run(
        hangar,
        "insert into aircraft (name, tower, airline) "
        "values ('EC-TAA', 'a', 'TA'), ('EC-TAB', 'b', 'XX')",
    )
    add_item(hangar, 1, {"f": b"film"})
    assert publish.publish(hangar.engine, hangar.settings, clock=clock) == []
    return hangar


def paper(fleet: End, clock: Clock) -> None:
    """Something more urgent is published, and not yet in a manifest."""
    more = {"kind": "newspaper", "priority": 10, "valid_to": clock() + timedelta(hours=9)}
    add_item(fleet, 2, {"p.pdf": b"news"}, **more)


def outbox(fleet: End, name: str) -> Path:
    return fleet.settings.sync_dir / "outbox" / name / "content"


def offered(fleet: End, name: str) -> str:
    data = (outbox(fleet, name) / "manifest.json").read_bytes()
    return unseal(data, lambda told, signature: None).version


def told(fleet: End, name: str) -> str:
    return read_head(outbox(fleet, name) / HEAD).version


def offer(fleet: End) -> None:
    """As each landing does, of any aircraft."""
    for name in NAMES:
        publish.offer(fleet.engine, fleet.settings, name)


def is_settled(fleet: End, before: str, clock: Clock) -> None:
    """The next publication brings both, and says how urgent it is."""
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    for name in NAMES:
        assert told(fleet, name) == offered(fleet, name) != before
        due = state.due(fleet.engine, fleet.settings, name, {"content": {"version": before}})
        assert due.urgent is not None
        assert due.urgent["priority"] == 10
    folder = fleet.settings.content_dir / "manifests"
    assert len(list(folder.iterdir())) == 2 * len(NAMES)


def test_a_full_disk_keeps_one_audience_from_the_new_manifest_and_no_other(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper(fleet, clock)
    before, fsync = offered(fleet, "EC-TAA"), os.fsync
    name = f".{Audience('TA').name}.json"

    def full(descriptor: int) -> None:
        if name in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device", name)
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        (problem,) = publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert "TA" in problem
    assert "No space left on device" in problem
    offer(fleet)
    assert told(fleet, "EC-TAA") == offered(fleet, "EC-TAA") == before
    assert told(fleet, "EC-TAB") == offered(fleet, "EC-TAB") != before
    left = [path.name for path in (fleet.settings.content_dir / "manifests").iterdir()]
    assert len(left) == 4, "what was half written takes no room"
    is_settled(fleet, before, clock)


@pytest.mark.parametrize("moment", range(8))
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_kill_at_any_rename_leaves_a_head_of_what_is_offered(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch, moment: int, done: bool
) -> None:
    paper(fleet, clock)
    before, replace, left = offered(fleet, "EC-TAA"), os.replace, moment

    def killed(source: Path, target: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0 and not done:
            raise PowerCut
        replace(source, target)
        if left < 0:
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(os, "replace", killed)
        publish.publish(fleet.engine, fleet.settings, clock=clock)
    run(fleet, "insert into aircraft (name, tower, airline) values ('EC-TAC', 'c', 'TA')")
    for name in (*NAMES, "EC-TAC"):
        publish.offer(fleet.engine, fleet.settings, name)
        folder = outbox(fleet, name)
        if name in NAMES or (folder / HEAD).exists():
            assert told(fleet, name) == offered(fleet, name)
        assert [path for path in folder.rglob("*.new")] == []
    is_settled(fleet, before, clock)


def test_what_is_only_half_issued_is_offered_to_nobody(fleet: End, clock: Clock) -> None:
    """As an older release left it: a head of what has no manifest."""
    paper(fleet, clock)
    content, audience = fleet.settings.content_dir, Audience("TA")
    former = manifest_path(content, audience).read_bytes()
    before = offered(fleet, "EC-TAA")
    assert publish.publish(fleet.engine, fleet.settings, clock=clock) == []
    manifest_path(content, audience).unlink()
    manifest_path(content, audience).write_bytes(former)
    version = offered(fleet, "EC-TAA")
    assert read_head(head_path(content, audience)).version == version != before
    offer(fleet)
    assert told(fleet, "EC-TAA") == offered(fleet, "EC-TAA") == version
    is_settled(fleet, before, clock)
