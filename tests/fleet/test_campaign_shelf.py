"""The hangar's shelf takes artifacts in whole, asks only for what it lacks, and keeps what is shipped."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from fleet.aboard import stream
from fleet.aboard.errors import ManifestError, StreamCut
from fleet.aboard.manifest import Manifest
from fleet.artifact import Artifact, files, keep, save
from fleet.campaign_shelf import FRESH_S, Shelf
from fleet.envelope import seal
from fleet.errors import FleetError
from fleet.release import _stream
from tests.fleet.aboard.host import FLEET
from tests.fleet.aboard.signing import signer, trust

EVA = signer()


def built(out: Path, version: str, **content: bytes) -> Artifact:
    found = []
    for name, body in content.items():
        source = out / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(body)
        found.append(keep(source, name, out))
    version = f"20260101120000-{version * 12}"
    revision = 40 * version[-1]
    made = save(
        Manifest("html5", version, revision, None, None, files(found), (), (), (), (), None), out
    )
    return seal(made, EVA.key, FLEET, 7, "eva")


@pytest.fixture
def place(tmp_path: Path) -> Shelf:
    trust(tmp_path, EVA)
    return Shelf(tmp_path / "artifacts", host=tmp_path)


@pytest.fixture
def page(tmp_path: Path) -> Artifact:
    return built(tmp_path / "build", "a", index=b"hello", style=b"{}" * 4000)


def head(artifact: Artifact) -> bytes:
    assert artifact.envelope is not None
    manifest = stream.pack(stream.MANIFEST, artifact.manifest.dump())
    return manifest + stream.pack(stream.ENVELOPE, artifact.envelope)


def offered(artifact: Artifact) -> io.BytesIO:
    return io.BytesIO(stream.MAGIC + head(artifact))


def sent(artifact: Artifact) -> bytes:
    return b"".join(_stream(artifact, head(artifact), list(artifact.manifest.sizes)))


def test_only_what_is_missing_travels(place: Shelf, page: Artifact, tmp_path: Path) -> None:
    told = place.offer(offered(page))
    assert (told["missing"], told["stage"]) == (list(page.manifest.sizes), None)
    assert place.accept(io.BytesIO(sent(page)))["result"] == "confirmed"
    told = place.offer(offered(page))
    assert (told["missing"], told["current"]) == ([], page.manifest.version)
    newer = built(tmp_path / "build", "b", index=b"hello again", style=b"{}" * 4000)
    told = place.offer(offered(newer))
    assert len(told["missing"]) == 1  # type: ignore[arg-type]
    assert place.get("html5", page.manifest.version).manifest == page.manifest
    assert place.get("html5", page.manifest.version).envelope == page.envelope


def test_what_nobody_signed_who_may_is_not_taken(
    place: Shelf, page: Artifact, tmp_path: Path
) -> None:
    stranger = seal(page, signer().key, FLEET, 8, "mallory")
    for take in (
        lambda: place.offer(offered(stranger)),
        lambda: place.accept(io.BytesIO(sent(stranger))),
    ):
        with pytest.raises(ManifestError, match="expected the signature of a key in"):
            take()
    assert not list(place.root.rglob("*.json"))


def test_a_stream_that_is_cut_leaves_no_name(place: Shelf, page: Artifact) -> None:
    whole = sent(page)
    for end in range(30, len(whole), 13):
        with pytest.raises(StreamCut):
            place.accept(io.BytesIO(whole[:end]))
        with pytest.raises(FleetError, match="not on the hangar's shelf"):
            place.get("html5", page.manifest.version)
    place.accept(io.BytesIO(whole))


def test_one_byte_that_is_another_is_found(place: Shelf, page: Artifact) -> None:
    wrong = sent(page).replace(b"hello", b"hellO")
    with pytest.raises(ManifestError, match="expected sha256"):
        place.accept(io.BytesIO(wrong))
    with pytest.raises(ManifestError):
        place.accept(io.BytesIO(b"turnaround-artifact 0\n"))


def test_what_is_damaged_on_the_disk_is_not_shipped(place: Shelf, page: Artifact) -> None:
    place.accept(io.BytesIO(sent(page)))
    (blob, *_) = place.root.glob("blobs/??/*")
    blob.chmod(0o644)
    blob.write_bytes(b"dust")
    with pytest.raises(FleetError, match="expected sha256"):
        place.get("html5", page.manifest.version)


def test_what_nobody_ships_any_more_goes(place: Shelf, page: Artifact, tmp_path: Path) -> None:
    newer = built(tmp_path / "build", "b", index=b"hello again", style=b"{}" * 4000)
    for each in (page, newer):
        place.accept(io.BytesIO(sent(each)))
    place.collect([])
    assert place.get("html5", page.manifest.version)  # it is fresh: it may be about to be shipped
    old = time.time() - FRESH_S - 60
    for path in place.root.rglob("*"):
        os.utime(path, (old, old))
    place.collect([("html5", newer.manifest.version)])
    assert place.get("html5", newer.manifest.version)
    with pytest.raises(FleetError):
        place.get("html5", page.manifest.version)
    assert len(list(place.root.glob("blobs/??/*"))) == 2


def test_what_another_release_left_goes_unless_a_campaign_ships_it(
    place: Shelf, page: Artifact
) -> None:
    place.accept(io.BytesIO(sent(page)))
    manifest = place.root / "html5" / page.manifest.version / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(ManifestError, match="expected 2, found 1"):
        place.collect([("html5", page.manifest.version)])
    place.collect([])
    assert not manifest.exists()
