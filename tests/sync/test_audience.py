"""Whom content is for, and that a manifest is made once for all of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from common.schema import Item
from common.settings import Settings
from sync import files, holding, issue, manifest, publish, signature, state, tree
from sync.audience import Audience
from sync.issue import HEAD
from sync.manifest import File, Manifest, load, seal
from tests.sync.ends import End, run
from tests.sync.test_content import add_item, pull, receive, visible

pytestmark = pytest.mark.slow

Clock = Callable[[], datetime]


def item(**more: list[str]) -> Item:
    return Item(**{"airlines": [], "destinations": [], "languages": [], **more})


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, True),
        ({"airlines": ["TA", "XX"]}, True),
        ({"airlines": ["XX"]}, False),
        ({"destinations": ["MAD", "TLS"]}, True),
        ({"destinations": ["JFK"]}, False),
        ({"languages": ["es", "de"]}, True),
        ({"languages": ["es-MX"]}, True),
        ({"languages": ["de"]}, False),
        ({"airlines": ["TA"], "destinations": ["TLS"], "languages": ["de"]}, False),
    ],
)
def test_what_is_for_others_does_not_travel(asked: dict[str, list[str]], wanted: bool) -> None:
    here = Audience("TA", ("TLS",), ("en", "es"))
    assert here.wants(item(**asked)) is wanted


def test_an_aircraft_whose_routes_are_not_known_is_sent_what_is_for_any() -> None:
    here = Audience("TA")
    assert here.wants(item(destinations=["JFK"], languages=["de"]))
    assert not here.wants(item(airlines=["XX"]))


AIRCRAFT = (
    "insert into aircraft (name, tower, airline, destinations, languages) values "
    "('EC-TAA', 'a', 'TA', '{TLS}', '{en,es}'), ('EC-TAB', 'b', 'TA', '{TLS}', '{es,en}'), "
    "('EC-TAC', 'c', 'TA', '{}', '{}'), ('EC-TAD', 'd', 'XX', '{}', '{}')"
)


@pytest.fixture
def fleet(hangar: End) -> End:
    """The hangar; two aircraft are of one audience, two of others."""
    run(hangar, AIRCRAFT)
    add_item(hangar, 1, {"f": b"for all"})
    add_item(hangar, 2, {"f": b"for Toulouse"}, destinations=["TLS"])
    add_item(hangar, 3, {"f": b"for New York"}, destinations=["JFK"])
    add_item(hangar, 4, {"f": b"for others"}, airlines=["XX"], languages=["de"])
    return hangar


def outbox(hangar: End, name: str) -> Path:
    return hangar.settings.sync_dir / "outbox" / name / "content"


def numbers(hangar: End, name: str) -> list[int]:
    found = (outbox(hangar, name) / "blobs").glob("??/*")
    texts = [b"for all", b"for Toulouse", b"for New York", b"for others"]
    return sorted(texts.index(path.read_bytes()) + 1 for path in found)


@pytest.mark.postgres
def test_each_is_offered_what_is_for_it(fleet: End, clock: Clock) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    offered = {name: numbers(fleet, name) for name in ("EC-TAA", "EC-TAB", "EC-TAC", "EC-TAD")}
    assert offered == {
        "EC-TAA": [1, 2],
        "EC-TAB": [1, 2],
        "EC-TAC": [1, 2, 3],
        "EC-TAD": [1, 2, 3, 4],
    }


@pytest.mark.postgres
def test_a_manifest_is_signed_once_for_an_audience_and_shared(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[bytes] = []
    sign = signature.sign
    monkeypatch.setattr(
        signature, "sign", lambda key, told: (signed.append(told), sign(key, told))[1]
    )
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert len(signed) == 3, "four aircraft, three audiences"
    one, other = (outbox(fleet, name) / "manifest.json" for name in ("EC-TAA", "EC-TAB"))
    assert one.samefile(other)
    assert one.stat().st_mode & 0o777 == 0o444
    before = one.stat()
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    after = one.stat()
    # It was read: the time of that may be another one.
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    run(fleet, "update aircraft set destinations = '{JFK}' where name = 'EC-TAB'")
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert numbers(fleet, "EC-TAB") == [1, 3]
    assert one.stat().st_ino == before.st_ino
    run(fleet, "delete from aircraft where name = 'EC-TAB'")
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    names = {path.name for path in (fleet.settings.content_dir / "manifests").iterdir()}
    assert len(names) == 6


@pytest.mark.postgres
def test_one_more_aircraft_of_an_audience_costs_links(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    monkeypatch.setattr(signature, "sign", lambda *_: pytest.fail("nothing is signed for it"))
    run(
        fleet,
        "insert into aircraft (name, tower, airline, destinations, languages) "
        "values ('EC-TAE', 'e', 'TA', '{TLS}', '{es,en}')",
    )
    publish.offer(fleet.engine, fleet.settings, "EC-TAE")
    assert numbers(fleet, "EC-TAE") == [1, 2]


@pytest.mark.postgres
def test_what_a_heartbeat_is_answered_from_does_not_travel(
    aircraft: End, fleet: End, clock: Clock
) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert (outbox(fleet, "EC-TAA") / HEAD).exists()
    pull(fleet, aircraft)
    inbox = files.inbox(aircraft.settings, files.HANGAR).parent
    assert [path.name for path in (inbox / "content").iterdir()] == ["manifest.json"]
    due = state.due(fleet.engine, fleet.settings, "EC-TAA", {"content": {"version": ""}})
    assert "content" in due.names
    version = holding.local_state(aircraft.settings, clock=clock)["version"]
    assert version == "", "it was pulled, and not yet found good"
    receive(fleet, aircraft, clock)
    body = {"content": holding.local_state(aircraft.settings, clock=clock)}
    assert "content" not in state.due(fleet.engine, fleet.settings, "EC-TAA", body).names


@pytest.mark.postgres
class TestWhatIsRefused:
    """A manifest that is not the hangar's, or not for us."""

    @pytest.fixture(autouse=True)
    def shown_before(self, aircraft: End, fleet: End, clock: Clock) -> None:
        publish.publish(fleet.engine, fleet.settings, clock=clock)
        pull(fleet, aircraft)
        assert receive(fleet, aircraft, clock).problems == []
        self.before = visible(aircraft)
        assert len(self.before) == 2

    def refused(self, aircraft: End, fleet: End, clock: Clock) -> str:
        received = receive(fleet, aircraft, clock)
        assert visible(aircraft) == self.before
        assert received.moved.received == 0, "nothing is fetched for it"
        (problem,) = received.problems
        told = holding.local_state(aircraft.settings, clock=clock)
        assert told["refused"] == problem
        assert problem.endswith("What is shown stays")
        return problem

    def pulled(self, aircraft: End) -> Path:
        return files.inbox(aircraft.settings, files.HANGAR).parent / "content" / "manifest.json"

    def test_one_that_another_key_signed(
        self, aircraft: End, fleet: End, clock: Clock, tmp_path: Path
    ) -> None:
        key = tmp_path / "stolen"
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(argv, check=True)
        told = self.pulled(aircraft).read_bytes().rpartition(b',"signature":')[0]
        data = seal(load(told), lambda told: signature.sign(key, told))
        self.pulled(aircraft).write_bytes(data)
        assert "expected the signature of hangar" in self.refused(aircraft, fleet, clock)

    def test_one_that_was_changed_on_its_way(self, aircraft: End, fleet: End, clock: Clock) -> None:
        data = self.pulled(aircraft).read_bytes()
        self.pulled(aircraft).write_bytes(data.replace(b'"priority":100', b'"priority":101', 1))
        assert "expected the signature of hangar" in self.refused(aircraft, fleet, clock)

    @pytest.mark.parametrize("keep", [0, 1, -1, -2, -30, 100])
    def test_one_that_was_cut(self, aircraft: End, fleet: End, clock: Clock, keep: int) -> None:
        data = self.pulled(aircraft).read_bytes()
        self.pulled(aircraft).write_bytes(data[:keep])
        assert "expected" in self.refused(aircraft, fleet, clock)

    def test_one_for_another_airline(self, aircraft: End, fleet: End, clock: Clock) -> None:
        theirs = outbox(fleet, "EC-TAD") / "manifest.json"
        self.pulled(aircraft).write_bytes(theirs.read_bytes())
        said = self.refused(aircraft, fleet, clock)
        assert "one for the airline TA, found one for XX" in said

    def test_one_that_was_followed_before_the_aircraft_went_to_another_airline(
        self, aircraft: End, fleet: End, clock: Clock
    ) -> None:
        add_item(fleet, 5, {"f": b"theirs"})
        publish.publish(fleet.engine, fleet.settings, clock=clock)
        pull(fleet, aircraft)
        assert holding.accept(aircraft.settings) == ""
        moved = End(aircraft.settings.model_copy(update={"airline": "XX"}), aircraft.engine)
        for _ in range(2):
            said = self.refused(moved, fleet, clock)
            assert "one for the airline XX, found one for TA" in said

    def test_a_link_in_its_place(
        self, aircraft: End, fleet: End, clock: Clock, tmp_path: Path
    ) -> None:
        shutil.move(self.pulled(aircraft), tmp_path / "elsewhere")
        self.pulled(aircraft).symlink_to(tmp_path / "elsewhere")
        assert "found a link" in self.refused(aircraft, fleet, clock)

    def test_then_the_right_one_is_followed_again(
        self, aircraft: End, fleet: End, clock: Clock
    ) -> None:
        self.pulled(aircraft).write_bytes(b"{}")
        self.refused(aircraft, fleet, clock)
        run(fleet, "update item set destinations = '{JFK}' where destinations = '{TLS}'")
        publish.publish(fleet.engine, fleet.settings, clock=clock)
        pull(fleet, aircraft)
        assert receive(fleet, aircraft, clock).problems == []
        assert len(visible(aircraft)) == 1
        assert "refused" not in holding.local_state(aircraft.settings, clock=clock)


@pytest.mark.postgres
def test_what_is_issued_while_it_is_offered_is_not_offered_without_its_files(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish.publish(fleet.engine, fleet.settings, clock=clock)
    home, audience = fleet.settings.content_dir, Audience("TA", ("TLS",), ("en", "es"))
    (tmp_path / "f").write_bytes(b"more")
    added = File("f", *publish.store(fleet.settings, tmp_path / "f"))
    items = load(told(fleet)).items
    blob_path = tree.blob_path
    news = [Manifest((replace(items[0], files=(added,)), *items[1:]), audience.json())]

    def meanwhile(content: Path, sha256: str) -> Path:
        if news:
            issue.issue(home, audience, news.pop(), lambda told: b"signed")
        return blob_path(content, sha256)

    # One link is lacking, so that something is linked.
    next((outbox(fleet, "EC-TAA") / "blobs").glob("??/*")).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(tree, "blob_path", meanwhile)
        publish.offer(fleet.engine, fleet.settings, "EC-TAA", whole=True)
    assert news == []
    for more in (0, 1):
        named = {file.sha256 for item in load(told(fleet)).items for file in item.files}
        assert (added.sha256 in named) == bool(more)
        linked = {path.name for path in (outbox(fleet, "EC-TAA") / "blobs").glob("??/*")}
        assert linked == named
        publish.offer(fleet.engine, fleet.settings, "EC-TAA")


def told(fleet: End) -> bytes:
    """What EC-TAA is offered, without its signature."""
    return signature.detach((outbox(fleet, "EC-TAA") / "manifest.json").read_bytes())[0]


@pytest.mark.postgres
def test_a_manifest_that_nobody_would_take_is_said_and_not_issued(
    fleet: End, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of EC-TAD, which is offered all four, and of no other.
    monkeypatch.setattr(manifest, "MAX_BYTES", 1150)
    (problem,) = publish.publish(fleet.engine, fleet.settings, clock=clock)
    assert "XX" in problem
    assert "expected at most 1150 bytes" in problem
    assert numbers(fleet, "EC-TAC") == [1, 2, 3]
    assert not (outbox(fleet, "EC-TAD") / "manifest.json").exists()


@pytest.mark.postgres
def test_a_hangar_that_cannot_sign_says_so_and_offers_the_rest(
    fleet: End, clock: Clock, tmp_path: Path
) -> None:
    settings: Settings = fleet.settings.model_copy(update={"ssh_key": tmp_path / "none"})
    (problem,) = publish.publish(fleet.engine, settings, clock=clock)
    assert "no content is offered anew" in problem
    assert not (outbox(fleet, "EC-TAA") / "manifest.json").exists()
