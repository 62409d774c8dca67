"""Archives from anybody: what may be unpacked is yielded, whole; at anything else it ends."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from require.remote import archive, tarball
from require.remote.shell import Refused
from tests.require.tars import Entries, add, hard, link, tar

TREE: Entries = {
    "viewer-1.4": None,
    "viewer-1.4/bin/run": {"data": b"#!/bin/sh\n", "mode": 0o755},
    "viewer-1.4/bin/again": hard("viewer-1.4/bin/run"),
    "viewer-1.4/bin/up": link("../lib/./x"),
    "./viewer-1.4/lib/x": b"x" * 100_000,
    "viewer-1.4/here": link("."),
}


def read(data: bytes, strip: int = 0, max_bytes: int = 10**8, sha: str = "") -> list[Any]:
    sha = sha or hashlib.sha256(data).hexdigest()
    found = tarball.members(io.BytesIO(data), sha, strip, max_bytes)
    return [
        (each.kind, each.name, each.target, each.data.read(10**6) if each.data else b"")
        for each in found
    ]


@pytest.mark.parametrize("how", ["", "gz", "xz", "zst"])
def test_members_come_with_the_directories_they_are_in(how: str) -> None:
    data = tar(TREE, how if how != "zst" else "")
    if how == "zst":
        if not shutil.which("zstd"):
            pytest.skip("this machine has no zstd")
        data = subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout
    assert read(data, strip=1) == [
        ("directory", "bin", "", b""),
        ("file", "bin/run", "", b"#!/bin/sh\n"),
        ("hard link", "bin/again", "bin/run", b""),
        ("link", "bin/up", "../lib/./x", b""),
        ("directory", "lib", "", b""),
        ("file", "lib/x", "", b"x" * 100_000),
        ("link", "here", ".", b""),
    ]


REFUSED: dict[str, tuple[Entries, str]] = {
    "an absolute path": ({"/etc/passwd": b""}, "leads outside"),
    "a path upwards": ({"a/../../b": b""}, "leads outside"),
    "a link to an absolute path": ({"a": link("/etc")}, "may lead outside"),
    "a link upwards": ({"a/b": link("../../c")}, "may lead outside"),
    "a link upwards behind a link": ({"a": link("."), "b": link("a/..")}, "may lead outside"),
    "a link to nothing": ({"a": link("")}, "may lead outside"),
    "a file below a link": ({"d": None, "a": link("d"), "a/b": b""}, "is below a link"),
    "a file below a file": ({"a": b"", "a/b": b""}, "is below a file"),
    "a hard link to what is not there": ({"a": hard("b")}, "which is no file"),
    "a hard link to a link": ({"a": link("c"), "b": hard("a")}, "which is no file"),
    "a hard link upwards": ({"a": hard("../b")}, "leads outside"),
    "a device": ({"a": {"type": tarfile.CHRTYPE}}, "no file, directory or link"),
    "a fifo": ({"a": {"type": tarfile.FIFOTYPE}}, "no file, directory or link"),
    "a link in place of the tree": ({"./": None, ".": link("a")}, "twice"),
    "a directory in place of a link": ({"d": None, "a": link("d"), "a/": None}, "twice"),
}


@pytest.mark.parametrize(("entries", "why"), REFUSED.values(), ids=REFUSED)
def test_what_leads_outside_is_refused(entries: Entries, why: str) -> None:
    with pytest.raises(Refused, match=why):
        read(tar(entries))


def test_a_file_that_is_there_twice_is_refused() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as twice:
        add(twice, "a", b"1")
        add(twice, "./a", b"2")
    with pytest.raises(Refused, match="twice"):
        read(made.getvalue())


def test_a_file_of_whose_name_nothing_is_left_is_refused() -> None:
    with pytest.raises(Refused, match="with strip=1 nothing is left"):
        read(tar({"README": b"", "a/b": b""}), strip=1)


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar({"zeros": bytes(2_000_000)})
    assert len(data) < 10_000
    with pytest.raises(Refused, match="more than 1000000 bytes once decompressed"):
        read(data, max_bytes=1_000_000)
    monkeypatch.setattr(tarball, "SMALL", 100_000)
    with pytest.raises(Refused, match="200 times its own size"):
        read(data)
    monkeypatch.setattr(tarball, "MAX_MEMBERS", 2)
    assert len(read(tar({"a": b"", "b": b""}))) == 2
    with pytest.raises(Refused, match="more than 2 members"):
        read(tar({"a": b"", "b": b"", "c": b""}))


@pytest.mark.parametrize("how", ["", "gz", "xz"])
def test_a_damaged_archive_is_refused(how: str) -> None:
    data = tar(TREE, how)
    with pytest.raises(Refused, match="SHA-256"):
        read(data, sha="0" * 64)
    with pytest.raises(Refused, match="damaged"):
        read(data[: len(data) // 2])
    with pytest.raises(Refused, match="damaged"):
        read(b"no archive at all" * 100)


def test_an_end_that_is_cut_off_after_the_last_member_is_found() -> None:
    """A tar may end anywhere; a compressed one says how long it is."""
    data = gzip.compress(os.urandom(10) + tar(TREE, ""))
    whole = tar(TREE)
    with pytest.raises(Refused, match="damaged"):
        read(whole[:-4])
    with pytest.raises(Refused, match="damaged"):
        read(data)


NAMES = st.sampled_from(
    ["a", "b", "a/b", "a/b/c", "b/c", "./a", "../a", "a/../b", "/a", "a/..", "."]
)
ENTRY = st.one_of(
    st.just(b"data"),
    st.none(),
    NAMES.map(link),
    NAMES.map(hard),
    st.just({"type": tarfile.BLKTYPE}),
)


@given(st.lists(st.tuples(NAMES, ENTRY), max_size=6))
def test_nothing_is_ever_written_or_linked_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, Any]]
) -> None:
    top = tmp_path_factory.mktemp("top")
    (top / "a").write_text("outside")
    (top / "tree").mkdir()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as some:
        for name, entry in entries:
            add(some, name, entry)
    tree = os.open(top / "tree", os.O_RDONLY)
    sha = hashlib.sha256(made.getvalue()).hexdigest()
    try:
        archive._unpack(tarball.members(made, sha, 0, 10**6), tree, 0o755, (-1, -1))
    except Refused:
        pass
    finally:
        os.close(tree)
    assert sorted(os.listdir(top)) == ["a", "tree"]
    assert (top / "a").read_text() == "outside"
    for folder, folders, files in os.walk(top / "tree"):
        for name in (*folders, *files):
            assert Path(os.path.realpath(Path(folder, name))).is_relative_to(top / "tree")
