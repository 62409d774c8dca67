"""The hangar ships and takes back as `dispatch`, in the words that the forced command there knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from fleet.aboard.manifest import File, Manifest
from fleet.artifact import Artifact
from fleet.campaign_ship import Place, go_back, ship
from fleet.errors import FleetError, HostKeyChanged
from tests.fleet.keys import line_of, new_key, write_key
from tests.fleet.server import Loopback, ssh_server

VERSION, BEFORE = "20260102000000-bbbbbbbbbbbb", "20260101000000-aaaaaaaaaaaa"


@pytest.fixture
def key(tmp_path: Path) -> paramiko.PKey:
    return write_key(tmp_path)


@pytest.fixture
def server(key: paramiko.PKey) -> Iterator[Loopback]:
    with ssh_server(key, users=("dispatch",), host_key=new_key()) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: Loopback) -> Place:
    (tmp_path / "known").write_text(f"10.9.9.9 x\n127.0.0.1 {server.host_key_line}\n")
    key = next(tmp_path.rglob("ops_ed25519"))
    return Place("EC-TAA", "127.0.0.1", key, tmp_path / "known", server.port)


def says(server: Loopback, **answers: dict[str, Any]) -> None:
    def answer(command: str, stdin: bytes) -> tuple[int, bytes, bytes]:
        word = command.split()[1]
        return 0, json.dumps({**answers[word], "at_s": 0.1}).encode() + b"\n", b""

    server.answer = answer


def test_a_release_is_shipped(place: Place, server: Loopback, tmp_path: Path) -> None:
    sha = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of foo
    blob = tmp_path / "blobs" / sha[:2] / sha
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"foo")
    manifest = Manifest(
        "html5", VERSION, 40 * "b", None, None, (File("a", sha, 3),), (), (), (), (), None
    )
    says(
        server,
        offer={"missing": [sha], "current": BEFORE, "stage": None},
        accept={"result": "confirmed", "version": VERSION, "former": BEFORE, "reason": None},
    )
    assert ship(place, Artifact(manifest, tmp_path / "blobs", b"{}")).result == "confirmed"
    assert server.commands == ["aboard offer", "aboard accept"]
    assert server.logins == ["dispatch"]


def listing(current: str) -> dict[str, Any]:
    one = {"version": current, "revision": "", "stage": "confirmed", "at": "", "reason": None}
    return {"kinds": {"html5": {"current": current, "releases": [one | {"bytes": 0}]}}}


def test_it_goes_back_from_that_release_only(place: Place, server: Loopback) -> None:
    back = {"result": "confirmed", "version": BEFORE, "former": VERSION, "reason": None}
    says(server, list=listing(VERSION), rollback=back)
    assert go_back(place, "html5", VERSION).version == BEFORE
    assert server.commands == ["aboard list", "aboard rollback html5"]
    server.commands.clear()
    says(server, list=listing("20260103000000-cccccccccccc"))
    assert go_back(place, "html5", VERSION).result == "already"
    assert server.commands == ["aboard list"]


def test_an_aircraft_that_shows_another_key_is_not_shipped_to(place: Place) -> None:
    place.known_hosts.write_text(f"127.0.0.1 {line_of(new_key())}\n")
    with pytest.raises(HostKeyChanged):
        go_back(place, "html5", VERSION)


def test_an_aircraft_whose_key_is_not_known_is_not_called(place: Place, server: Loopback) -> None:
    place.known_hosts.write_text("")
    with pytest.raises(FleetError, match=r"no host key of 127\.0\.0\.1"):
        go_back(place, "html5", VERSION)
    assert server.transports == []
