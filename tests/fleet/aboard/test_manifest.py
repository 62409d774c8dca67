"""What a manifest may say; everything else is refused before anything is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet.aboard.errors import ManifestError
from fleet.aboard.manifest import MANIFEST_LIMIT, is_inside, parse
from tests.fleet.aboard.host import build

GOOD: dict[str, Any] = json.loads(build(1).manifest.dump())
HASH = GOOD["files"][0]["sha256"]


def file(path: str, sha256: str = HASH, size: int = 1) -> dict[str, object]:
    return {"path": path, "sha256": sha256, "size": size}


def test_what_is_dumped_is_read_back_and_dumps_to_the_same_bytes() -> None:
    manifest = build(1).manifest
    assert parse(manifest.dump()) == manifest
    assert parse(manifest.dump()).dump() == manifest.dump()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 3}, "format: expected 2, found 3"),
        ({"kind": "../x"}, "kind: expected text like"),
        ({"version": "20260101-1"}, "version: expected"),
        ({"version": "../../../../etc/passwd"}, "version: expected"),
        ({"revision": "HEAD"}, "revision: expected"),
        ({"python": None}, "python: expected a version, because there are wheels"),
        ({"files": []}, "files: expected 1 to 20000 files"),
        ({"files": {}}, "files: expected a list"),
        ({"files": [file("../etc/passwd")]}, "a plain path inside the release"),
        ({"files": [file("/etc/passwd")]}, "a plain path inside the release"),
        ({"files": [file("a/../../b")]}, "a plain path inside the release"),
        ({"files": [file("a\nb")]}, "a plain path inside the release"),
        ({"files": [file("manifest.json")]}, "manifest.json: expected a place that is not made on"),
        ({"files": [file("manifest.json/a")]}, "expected a place .* found 'manifest.json'"),
        ({"files": [file(".manifest.json.tmp")]}, "expected a place that is not made on the host"),
        ({"files": [file("pyvenv.cfg")]}, "pyvenv.cfg: expected a place that is not made on the"),
        ({"files": [file("bin/python")]}, "bin/python: expected a place .* found 'bin'"),
        ({"files": [file("lib")]}, "lib: expected a place that is not made on the host"),
        ({"files": [file("lib/python3.13/site-packages/a.py")]}, "expected a place .* found 'lib'"),
        ({"files": [file("a", sha256="0" * 63)]}, "a: sha256: expected 64"),
        ({"files": [file("a", size=-1)]}, "a: size: expected"),
        ({"files": [file("a", size=True)]}, "a: size: expected"),
        ({"files": [file("a"), file("a")]}, "expected each path once, found 'a'"),
        ({"files": [file("a"), file("a/b")]}, "no file where another needs a folder"),
        ({"files": [file("a"), file("b", size=2)]}, "b: size: expected 1, found 2"),
        ({"wheels": ["wheels/none.whl"]}, "wheels: expected names"),
        ({"setup": [["/bin/sh", "-c", "x"]]}, "commands that start with a path in the release"),
        ({"setup": [[]]}, "commands that start with a path in the release"),
        ({"units": ["ssh.service"]}, "units of ours"),
        ({"units": ["--root=/x"]}, "units of ours"),
        ({"health": {"socket": "/etc/shadow", "path": "/"}}, "a socket in /run/turnaround"),
        ({"health": {"socket": "/run/turnaround/a.sock", "path": "x"}}, "an absolute path"),
    ],
    ids=str,
)
def test_what_a_host_must_not_act_on_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        parse(json.dumps({**GOOD, "wheels": [], **change}).encode(), "artifact")


def test_without_a_python_environment_its_places_are_free() -> None:
    pages = {**GOOD, "python": None, "wheels": [], "setup": [], "files": [file("lib/hls.js")]}
    assert parse(json.dumps(pages).encode()).files[0].path == "lib/hls.js"


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (MANIFEST_LIMIT + 1)]
)
def test_what_is_no_manifest_is_refused_with_its_source(text: bytes) -> None:
    with pytest.raises(ManifestError, match=r"^/tmp/x: "):
        parse(text, "/tmp/x")


@pytest.mark.parametrize("path", ["", ".", "a/", "a//b", "./a", "a\\b", "a\0b", "x" * 1025])
def test_paths_that_are_not_plain(path: str) -> None:
    assert not is_inside(path)
