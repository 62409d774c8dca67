"""What nothing names goes from the hangar's disk after a while, and nothing else ever does."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest
from sqlalchemy import event

from common.clock import utc_now
from sync import publish, tree, unnamed
from sync.audience import Audience
from sync.issue import manifest_path
from sync.stock import Stock
from tests.sync.ends import End, PowerCut, run
from tests.sync.test_content import add_item

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def at(**later: float) -> Callable[[], datetime]:
    """A clock; when a file was changed last is the kernel's business."""
    return lambda: utc_now() + timedelta(**later)


@pytest.fixture
def fleet(hangar: End) -> End:
    """The hangar; an aircraft, a film that is published and a paper that is not."""
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    add_item(hangar, 1, {"f": b"film", "common": b"common"})
    add_item(hangar, 2, {"p": b"paper"}, kind="newspaper", published=False)
    assert publish.publish(hangar.engine, hangar.settings) == []
    return hangar


def blobs(fleet: End) -> list[bytes]:
    return sorted(path.read_bytes() for path in (content(fleet) / "blobs").glob("??/*"))


def content(fleet: End) -> Path:
    return fleet.settings.content_dir


def outbox(fleet: End, name: str = "EC-TAA") -> Path:
    return fleet.settings.sync_dir / "outbox" / name / "content" / "blobs"


def delete(fleet: End, number: int) -> None:
    run(fleet, f"delete from item where id = '{UUID(int=number)}'")


def put(fleet: End, data: bytes) -> Path:
    """Store what no row names, and return where it lies."""
    given = fleet.settings.state_dir / "put"
    given.write_bytes(data)
    return tree.blob_path(content(fleet), publish.store(fleet.settings, given)[0])


def remove(fleet: End, **later: float) -> list[str]:
    return unnamed.remove(fleet.engine, Stock(content(fleet)), at(**later)())


def test_a_blob_goes_a_week_after_nothing_named_it(fleet: End) -> None:
    add_item(fleet, 3, {"f": b"old", "common": b"common"})
    assert publish.publish(fleet.engine, fleet.settings) == []
    delete(fleet, 3)
    for days in (0, 6.9):
        assert publish.publish(fleet.engine, fleet.settings, clock=at(days=days)) == []
        assert blobs(fleet) == [b"common", b"film", b"old", b"paper"]
    assert publish.publish(fleet.engine, fleet.settings, clock=at(days=7.1)) == []
    assert blobs(fleet) == [b"common", b"film", b"paper"]


def test_one_to_which_an_aircraft_has_a_link_stays(fleet: End) -> None:
    blob, held = put(fleet, b"held"), outbox(fleet, "EC-TAX") / "aa"
    held.mkdir(parents=True)
    os.link(blob, held / blob.name)
    assert publish.publish(fleet.engine, fleet.settings, clock=at(days=30)) == []
    assert b"held" in blobs(fleet)
    (held / blob.name).unlink()
    assert publish.publish(fleet.engine, fleet.settings, clock=at(days=30)) == []
    assert b"held" not in blobs(fleet)


def test_one_that_only_an_issued_manifest_names_stays(fleet: End) -> None:
    """As when its row is deleted after the manifest was written, and before it is offered."""
    delete(fleet, 1)
    for path in outbox(fleet).glob("??/*"):
        path.unlink()
    assert remove(fleet, days=30) == []
    assert blobs(fleet) == [b"common", b"film", b"paper"]
    manifest_path(content(fleet), Audience("TA")).unlink()
    assert remove(fleet, days=30) == []
    assert blobs(fleet) == [b"paper"]


def test_nothing_goes_while_a_manifest_cannot_be_read(fleet: End) -> None:
    put(fleet, b"old")
    path = manifest_path(content(fleet), Audience("TA"))
    path.unlink()
    path.write_bytes(b"{}")
    (problem,) = remove(fleet, days=30)
    assert str(path) in problem
    assert b"old" in blobs(fleet)


def test_it_goes_also_after_a_publication_that_had_problems(fleet: End) -> None:
    put(fleet, b"old")
    run(fleet, f"update asset set size = 99 where item_id = '{UUID(int=1)}'")
    (problem,) = publish.publish(fleet.engine, fleet.settings, clock=at(days=30))
    assert "import it again" in problem
    assert blobs(fleet) == [b"common", b"film", b"paper"], "what it leaves out is named still"


def test_a_removal_that_fails_is_told(fleet: End, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = put(fleet, b"old")

    def broken(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", broken)
    (problem,) = publish.publish(fleet.engine, fleet.settings, clock=at(days=30))
    assert str(blob) in problem


def test_one_that_is_imported_again_before_it_goes_stays(
    fleet: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unnamed, "KEPT", timedelta(seconds=2))
    put(fleet, b"again"), put(fleet, b"old")
    stock = Stock(content(fleet))
    assert len(stock.blobs) == 5
    time.sleep(2.1)
    # The import has stored it, and its rows are not written yet.
    put(fleet, b"again")
    assert unnamed.remove(fleet.engine, stock, utc_now()) == []
    assert blobs(fleet) == [b"again", b"common", b"film", b"paper"]


def test_one_that_is_imported_again_while_it_goes_is_there_after_it(
    fleet: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock that is a month ahead is not to make this import an old one.
    monkeypatch.setattr(unnamed, "CUT", timedelta(days=60))
    blob, unlink = put(fleet, b"again"), Path.unlink
    importing = Thread(target=put, args=(fleet, b"again"))

    def meanwhile(path: Path, missing_ok: bool = False) -> None:
        if path == blob:
            importing.start()
            importing.join(timeout=0.5)
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", meanwhile)
        assert remove(fleet, days=30) == []
    importing.join()
    assert b"again" in blobs(fleet)


@pytest.mark.parametrize("moment", range(4))
def test_a_kill_at_any_removal_leaves_what_is_named(
    fleet: End, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    for number in range(4):
        put(fleet, b"old %d" % number)
    unlink, left = Path.unlink, moment

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise PowerCut
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(Path, "unlink", killed)
        remove(fleet, days=30)
    assert len(blobs(fleet)) == 3 + 4 - moment
    assert publish.publish(fleet.engine, fleet.settings, clock=at(days=30)) == []
    assert blobs(fleet) == [b"common", b"film", b"paper"]


def test_what_an_import_left_that_was_killed_goes_after_a_day(fleet: End) -> None:
    left = content(fleet) / "staging" / ("0" * 32)
    left.write_bytes(b"half")
    for hours, there in ((23, True), (25, False)):
        assert publish.publish(fleet.engine, fleet.settings, clock=at(hours=hours)) == []
        assert left.exists() == there


def test_an_import_that_fails_leaves_nothing(fleet: End, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "fsync", full)
        put(fleet, b"more")
    assert list((content(fleet) / "staging").iterdir()) == []


@pytest.fixture
def statements(fleet: End) -> Iterator[list[str]]:
    said: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        said.append(statement)

    event.listen(fleet.engine, "before_cursor_execute", listen)
    yield said
    event.remove(fleet.engine, "before_cursor_execute", listen)


def test_it_costs_one_query_and_a_look_at_what_is_not_named(
    fleet: End, monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    add_item(fleet, 3, {str(number): b"%d" % number for number in range(40)})
    old = put(fleet, b"old")
    looked: list[object] = []
    walked: list[Path] = []
    stat, walk = os.stat, tree.blobs
    with monkeypatch.context() as patch:
        patch.setattr(tree, "blobs", lambda folder: (walked.append(folder), walk(folder))[1])
        assert publish.publish(fleet.engine, fleet.settings) == []
    home = content(fleet) / "blobs"
    assert walked.count(home) == 1, "what was seen for the offers is enough"
    statements.clear()
    stock = Stock(content(fleet))
    monkeypatch.setattr(
        os, "stat", lambda path, **more: (looked.append(path), stat(path, **more))[1]
    )
    assert unnamed.remove(fleet.engine, stock, at()()) == []
    assert len(statements) == 1
    assert [path for path in looked if Path(str(path)).parent.parent == home] == [old]
