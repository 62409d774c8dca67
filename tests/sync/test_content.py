"""Content: published at the hangar, fetched in order, shown when complete, never half."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common.database import session as database_session
from common.schema import Asset, Item
from common.settings import LinkRule
from sync import content, files, holding, policy, publish, rsync, shown, tree
from sync.policy import Policy
from sync.rsync import Link, LinkLost, Moved
from tests.sync.ends import End, link_to, run

pytestmark = pytest.mark.postgres
Clock = Callable[[], datetime]


@pytest.fixture
def hangar(hangar: End) -> End:
    run(hangar, "insert into aircraft (name, tower, airline) values ('EC-TAA', 'a', 'TA')")
    return hangar


def bytes_of(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def add_item(hangar: End, number: int, files: dict[str, bytes], **more: object) -> UUID:
    folder = hangar.settings.state_dir / "given"
    folder.mkdir(parents=True, exist_ok=True)
    item_id = UUID(int=number)
    values = {"kind": "film", "title": {"en": str(number)}, "published": True} | more
    with database_session(hangar.engine) as database:
        database.add(Item(id=item_id, **values))
        database.flush()
        for path, data in files.items():
            (folder / "file").write_bytes(data)
            sha256, size = publish.store(hangar.settings, folder / "file")
            database.add(
                Asset(
                    item_id=item_id, role="document", path=path, sha256=sha256, size=size, mime=""
                )
            )
    return item_id


def offer(hangar: End, aircraft: End, clock: Clock) -> list[str]:
    problems = publish.publish(hangar.engine, hangar.settings, clock=clock)
    pull(hangar, aircraft)
    return problems


def pull(hangar: End, aircraft: End) -> Moved:
    inbox = files.inbox(aircraft.settings, files.HANGAR).parent
    return link_to(hangar, "EC-TAA").pull(inbox)


def receive(
    hangar: End, aircraft: End, clock: Clock, lines: list[str] | None = None
) -> content.Received:
    said = [] if lines is None else lines
    return content.receive(aircraft.settings, link_to(hangar, "EC-TAA"), said.append, clock=clock)


def visible(aircraft: End) -> dict[str, list[str]]:
    return tree.shown(aircraft.settings.content_dir)


def test_an_item_arrives_whole_and_is_shown(aircraft: End, hangar: End, clock: Clock) -> None:
    files = {"hls/master.m3u8": b"#EXTM3U", "hls/1.ts": bytes_of(5000, 1), "poster.jpg": b"jpg"}
    film = str(add_item(hangar, 1, files))
    assert offer(hangar, aircraft, clock) == []
    received = receive(hangar, aircraft, clock)
    assert (received.files, received.problems) == (3, [])
    assert visible(aircraft) == {film: sorted(files)}
    shown = aircraft.settings.content_dir / "current" / "items" / film
    assert {path: (shown / path).read_bytes() for path in files} == files
    assert holding.local_state(aircraft.settings, clock=clock) == {
        "version": received.version,
        "missing_files": 0,
        "missing_bytes": 0,
    }
    again = receive(hangar, aircraft, clock)
    assert (again.files, again.moved, again.switches) == (0, Moved(), 0)


def test_a_file_is_never_sent_twice_whatever_it_is_called(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    data = bytes_of(100_000, 2)
    add_item(hangar, 1, {"film.mp4": data})
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    renamed = str(add_item(hangar, 2, {"other/name.mp4": data}))
    run(hangar, f"update item set published = false where id = '{UUID(int=1)}'")
    offer(hangar, aircraft, clock)
    received = receive(hangar, aircraft, clock)
    assert (received.files, received.moved) == (0, Moved())
    assert visible(aircraft) == {renamed: ["other/name.mp4"]}


def test_the_newspaper_is_there_to_read_before_the_film_has_come(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    add_item(hangar, 1, {"film.mp4": bytes_of(9_000_000, 3)})
    paper = str(
        add_item(
            hangar, 2, {"p.pdf": b"news"}, kind="newspaper", valid_to=clock() + timedelta(hours=9)
        )
    )
    offer(hangar, aircraft, clock)
    stalled = Link("hangar", ["false"])
    seen: list[dict[str, list[str]]] = []

    class Cut(Link):
        def fetch(self, hashes: object, staging: Path, **_: object) -> Moved:
            seen.append(visible(aircraft))
            if len(seen) == 1:
                return link_to(hangar, "EC-TAA").fetch(hashes, staging)  # type: ignore[arg-type]
            raise LinkLost("cut")

    lines: list[str] = []
    with pytest.raises(LinkLost):
        content.receive(
            aircraft.settings, Cut(stalled.host, stalled.shell), lines.append, clock=clock
        )
    assert [line.split(":")[0] for line in lines] == ["newspaper", "film"]
    assert seen == [{}, {paper: ["p.pdf"]}]


def test_an_item_with_a_file_missing_or_wrong_stays_hidden(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    good = str(add_item(hangar, 1, {"a": b"good"}))
    add_item(hangar, 2, {"a": b"right", "b": b"lost"})
    assert offer(hangar, aircraft, clock) == []
    outbox = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "content" / "blobs"
    for blob in outbox.glob("??/*"):
        if blob.read_bytes() == b"right":
            blob.unlink()
            blob.write_bytes(b"wrong")
        elif blob.read_bytes() == b"lost":
            blob.unlink()
    received = receive(hangar, aircraft, clock)
    assert visible(aircraft) == {good: ["a"]}
    assert len(received.problems) == 2
    assert any("expected sha256" in problem for problem in received.problems)
    assert any("did not come" in one and "No such file" in one for one in received.problems)
    assert holding.local_state(aircraft.settings, clock=clock)["missing_files"] == 2
    # The hangar is mended: the next run brings just those two.
    for blob in outbox.glob("??/*"):
        if blob.read_bytes() == b"wrong":
            blob.unlink()
    offer(hangar, aircraft, clock)
    assert receive(hangar, aircraft, clock).files == 2
    assert len(visible(aircraft)) == 2


def test_what_cannot_be_offered_whole_is_not_offered(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    add_item(hangar, 1, {"a": b"1"}, published=False)
    add_item(hangar, 2, {"a": b"2"}, valid_to=clock())
    add_item(hangar, 3, {"a": b"3"}, valid_from=clock() + timedelta(days=1))
    add_item(hangar, 4, {"a": b"4"})
    with database_session(hangar.engine) as database:
        asset = database.query(Asset).filter_by(item_id=UUID(int=4)).one()
        asset.sha256 = "f" * 64
    (problem,) = offer(hangar, aircraft, clock)
    assert "is not among the hangar's blobs; import it again" in problem
    assert receive(hangar, aircraft, clock).files == 1
    assert visible(aircraft) == {}, "what begins tomorrow is here and not shown"
    clock.advance(days=1)  # type: ignore[attr-defined]
    shown.Windows(aircraft.settings, clock).turn()
    assert list(visible(aircraft)) == [str(UUID(int=3))]


def test_expired_items_vanish_and_their_blobs_after_them(
    aircraft: End, hangar: End, clock: Clock
) -> None:
    blobs = aircraft.settings.content_dir / "blobs"
    add_item(hangar, 1, {"a": b"old"}, valid_to=clock() + timedelta(hours=1))
    add_item(hangar, 2, {"a": b"new"})
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    clock.advance(hours=2)  # type: ignore[attr-defined]
    receive(hangar, aircraft, clock)
    assert list(visible(aircraft)) == [str(UUID(int=2))]
    # The version before is kept for its readers until the one after.
    assert len(list(blobs.glob("??/*"))) == 2
    add_item(hangar, 3, {"a": b"newer"})
    offer(hangar, aircraft, clock)
    receive(hangar, aircraft, clock)
    assert sorted(path.read_bytes() for path in blobs.glob("??/*")) == [b"new", b"newer"]
    outbox = hangar.settings.sync_dir / "outbox" / "EC-TAA" / "content" / "blobs"
    assert len(list(outbox.glob("??/*"))) == 2


def test_readers_see_the_old_or_the_new_tree_never_a_mixture(
    aircraft: End, hangar: End, clock: Clock, tmp_path: Path
) -> None:
    home = aircraft.settings.content_dir
    trees = []
    for number in (1, 2):
        data = f"tree {number}".encode()
        add_item(hangar, number, {name: data for name in ("a", "b")})
        offer(hangar, aircraft, clock)
        receive(hangar, aircraft, clock)
        manifest = holding.offered(aircraft.settings)
        assert manifest is not None
        trees.append([item for item in manifest.items if item.id == str(UUID(int=number))])
    script = textwrap.dedent(
        """
        import json, os, sys
        home, seen = sys.argv[1], 0
        print("reading", flush=True)
        while not os.path.exists(home + "/stop"):
            folder = os.open(home + "/current", os.O_PATH | os.O_DIRECTORY)
            names = json.load(open(f"/proc/self/fd/{folder}/items.json"))
            for name in names:
                for path in ("a", "b"):
                    data = open(f"/proc/self/fd/{folder}/items/{name}/{path}").read()
                    assert data == f"tree {int(name[-1])}", (name, data)
            assert len(names) == 1, names
            os.close(folder)
            seen += 1
        print(seen)
        """
    )
    tree.switch(home, trees[0])
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    for number in range(40):
        assert tree.switch(home, trees[(number + 1) % 2])
    (home / "stop").touch()
    seen, _ = reader.communicate(timeout=20)
    assert reader.returncode == 0
    assert int(seen) > 0


@pytest.mark.parametrize("left", ["versions/.new", ".current.new", "staging"])
def test_what_a_power_cut_left_does_not_stop_the_next_switch(
    aircraft: End, hangar: End, clock: Clock, left: str
) -> None:
    home = aircraft.settings.content_dir
    film = str(add_item(hangar, 1, {"a": b"1"}))
    offer(hangar, aircraft, clock)
    if left == ".current.new":
        home.mkdir(parents=True)
        (home / left).symlink_to("versions/99")
    else:
        (home / left / "items").mkdir(parents=True)
        if left == "staging":
            (home / left / "items").rmdir()
            (home / left / ("e" * 64)).write_bytes(b"abandoned")
    assert receive(hangar, aircraft, clock).problems == []
    assert list(visible(aircraft)) == [film]
    assert [path.name for path in (home / "staging").glob("*")] == []
    assert [path.name for path in (home / "versions").iterdir()] == ["1"]


SIZE, STALL = 8_000_000, 5_000_000


def test_after_a_power_cut_only_the_rest_is_sent(aircraft: End, hangar: End, clock: Clock) -> None:
    film = str(add_item(hangar, 1, {"film.mp4": bytes_of(SIZE, 4)}))
    offer(hangar, aircraft, clock)
    staging = aircraft.settings.content_dir / "staging"
    link = link_to(hangar, "EC-TAA", stall=STALL)
    (blob,) = (hangar.settings.content_dir / "blobs").glob("??/*")
    script = (
        "import sys; from pathlib import Path; from sync.rsync import Link\n"
        "Link('hangar', sys.argv[3:]).fetch([sys.argv[1]], Path(sys.argv[2]))"
    )
    # In a session of its own, so that rsync, its two halves and the shell all die at once.
    victim = subprocess.Popen(
        [sys.executable, "-c", script, blob.name, str(staging), *link.shell],
        start_new_session=True,
        cwd=Path(rsync.__file__).parents[1],
    )
    deadline = time.monotonic() + 20
    arrived = 0
    while arrived < STALL * 0.9 and time.monotonic() < deadline and victim.poll() is None:
        arrived = sum(path.stat().st_size for path in staging.glob("*"))
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    # Counted after the end: what came between the last look and the blow is here to stay too.
    arrived = sum(path.stat().st_size for path in staging.glob("*"))
    assert arrived >= STALL * 0.9
    assert [path.name for path in staging.iterdir()] == [blob.name]  # no orphan under another name

    received = receive(hangar, aircraft, clock)
    assert received.problems == []
    assert list(visible(aircraft)) == [film]
    missing = SIZE - arrived
    assert missing * 0.9 < received.moved.received < missing * 1.01 + 150_000
    assert list(staging.iterdir()) == []


def test_a_link_that_is_cut_is_told_from_one_that_refuses(
    aircraft: End, hangar: End, clock: Clock, tmp_path: Path
) -> None:
    add_item(hangar, 1, {"film.mp4": bytes_of(SIZE, 4)})
    offer(hangar, aircraft, clock)
    cases = {
        "exit 255": "the link was lost",
        "echo 'Host key verification failed.' >&2; exit 255": "hangar refused: Host key",
        "echo 'fleet@hangar: Permission denied (publickey).' >&2; exit 255": "refused: fleet@",
        "exit 0": "the link was lost",
    }
    for script, reason in cases.items():
        with pytest.raises(rsync.TransferError, match="(?i)" + reason.replace("(", "\\(")):
            Link("hangar", ["sh", "-c", script]).pull(tmp_path / "x")


def test_what_may_not_pass_now_waits_with_the_reason_until_the_way_is_another(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = str(add_item(hangar, 1, {"film.mp4": bytes_of(5000, 1)}))
    paper = str(add_item(hangar, 2, {"paper.pdf": b"news"}, kind="newspaper"))
    offer(hangar, aircraft, clock)
    metered = Policy("wwan0", LinkRule(name="metered", kinds=("newspaper",)))
    monkeypatch.setattr(policy, "now", lambda settings: metered)
    assert receive(hangar, aircraft, clock).problems == []
    assert list(visible(aircraft)) == [paper]
    told = holding.local_state(aircraft.settings, clock=clock)
    why = "on metered (wwan0) nothing but newspaper comes"
    assert told["waiting"] == {"items": 1, "bytes": 5000, "why": why}
    assert told["missing_files"] == 0
    monkeypatch.setattr(policy, "now", lambda settings: Policy("wlan1"))
    assert holding.local_state(aircraft.settings, clock=clock)["missing_files"] == 1
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == [film, paper]
    assert "waiting" not in holding.local_state(aircraft.settings, clock=clock)


def test_what_waits_keeps_no_file_from_an_item_that_shares_it(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    poster = bytes_of(5000, 1)
    add_item(hangar, 1, {"film.mp4": b"film", "poster.jpg": poster}, priority=1)
    paper = str(add_item(hangar, 2, {"cover.jpg": poster, "p.pdf": b"news"}, kind="newspaper"))
    offer(hangar, aircraft, clock)
    monkeypatch.setattr(
        policy, "now", lambda settings: Policy("wwan0", LinkRule(kinds=("newspaper",)))
    )
    received = receive(hangar, aircraft, clock)
    assert (received.problems, list(visible(aircraft))) == ([], [paper])
    told = holding.local_state(aircraft.settings, clock=clock)
    assert (told["missing_files"], told["waiting"]["items"]) == (0, 1)


def test_how_large_an_item_may_be_is_asked_of_each_alone(
    aircraft: End, hangar: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = [
        str(add_item(hangar, number, {"paper.pdf": bytes_of(700_000, number)})) for number in (1, 2)
    ]
    offer(hangar, aircraft, clock)
    monkeypatch.setattr(
        policy, "now", lambda settings: Policy("wwan0", LinkRule(name="metered", largest_mb=1))
    )
    receive(hangar, aircraft, clock)
    assert sorted(visible(aircraft)) == papers
