"""What is wrong with the offer of one aircraft is told, and keeps no other from its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from sync import files, publish, tree
from sync import hangar as hangar_side
from tests.sync.ends import End, run
from tests.sync.test_content import add_item

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Clock = Callable[[], datetime]


@pytest.fixture
def fleet(hangar: End, clock: Clock) -> End:
    """The hangar, with an aircraft in the middle of the alphabet."""
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAM', 'm', 'TA')")
    add_item(hangar, 1, {"f": b"film"})
    assert publish.publish(hangar.engine, hangar.settings, clock=clock) == []
    return hangar


def outbox(fleet: End, name: str) -> Path:
    return fleet.settings.sync_dir / "outbox" / name


def offered(fleet: End, name: str) -> bool:
    """Whether it is offered content and the catalogue."""
    content, down = outbox(fleet, name) / "content", outbox(fleet, name) / "down"
    return (content / "manifest.json").exists() and any(down.rglob("*.cs"))


def others(fleet: End) -> None:
    """Two aircraft more that were never offered anything."""
    run(
        fleet,
        "insert into aircraft (name, tower, airline) "
        "values ('EC-TAA', 'a', 'TA'), ('EC-TAZ', 'z', 'XX')",
    )


def spoil(fleet: End) -> Path:
    """Put something where the first in the alphabet has its folder."""
    folder = outbox(fleet, "EC-TAA")
    folder.write_bytes(b"")
    return folder


def test_a_landing_offers_to_all_others_and_ends_as_it_should(
    fleet: End, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    others(fleet)
    spoilt = spoil(fleet)
    left = files.inbox(fleet.settings, "EC-TAM") / "use" / "1f0a93c2" / ".000000000001.cs.abcdef"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    outcome = hangar_side.ingest(fleet.engine, fleet.settings, "EC-TAM", clock=clock)
    assert outcome.problems == [], "nothing is wrong with what this one brought or is offered"
    assert f"EC-TAA is offered nothing anew: [Errno 20] Not a directory: '{spoilt}" in caplog.text
    assert any(outbox(fleet, "EC-TAZ").rglob("*.cs"))
    assert not left.exists(), "what follows the offers is done"
    (problem,) = hangar_side.ingest(fleet.engine, fleet.settings, "EC-TAA", clock=clock).problems
    assert str(spoilt) in problem
    spoilt.unlink()
    assert hangar_side.refresh(fleet.engine, fleet.settings, clock=clock) == {}
    assert offered(fleet, "EC-TAA")


def test_a_blob_that_is_gone_is_named(fleet: End, clock: Clock) -> None:
    others(fleet)
    (blob,) = (fleet.settings.content_dir / "blobs").glob("??/*")
    blob.unlink()
    problems = hangar_side.refresh(fleet.engine, fleet.settings, clock=clock)
    assert list(problems) == ["EC-TAA"]
    assert problems["EC-TAA"].startswith("EC-TAA is offered nothing anew")
    assert str(tree.blob_path(fleet.settings.content_dir, blob.name)) in problems["EC-TAA"]
    assert not (outbox(fleet, "EC-TAA") / "content" / "manifest.json").exists()
    assert any(outbox(fleet, "EC-TAZ").rglob("*.cs"))
    # The next publication leaves out what cannot be offered whole.
    (said,) = publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert "is not among the hangar's blobs" in said
    assert offered(fleet, "EC-TAA")
    assert hangar_side.refresh(fleet.engine, fleet.settings, clock=clock) == {}


def test_a_publication_is_offered_to_all_others(fleet: End, clock: Clock) -> None:
    others(fleet)
    spoilt = spoil(fleet)
    hangar_side.refresh(fleet.engine, fleet.settings, clock=clock)
    (problem,) = publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert problem.startswith("EC-TAA is offered nothing anew")
    assert str(spoilt) in problem
    assert [offered(fleet, name) for name in ("EC-TAM", "EC-TAZ")] == [True, True]
