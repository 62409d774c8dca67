"""What must survive a power cut, done by a user whom read-only files keep out, as the services are."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from sync import changeset, export, files
from tests.sync.ends import PowerCut

NOBODY = 65534
NAME = Path("index.json")
SEALED = Path("use-000000000001.cs")
HEADER = changeset.Header(
    stream="use",
    epoch="1f0a93c2-5f4e-4b7a-9d1c-0a4c6f3b2e11",
    seq=1,
    first_seq=1,
    prev_sha256=changeset.GENESIS,
    schema="0001",
    node="EC-TAA",
    created="2026-11-23T12:00:00+00:00",
    tables=(),
)


def write_index(data: bytes = b"new") -> None:
    files.write_durably(NAME, data, mode=0o444)


def write_change_set() -> None:
    export.write(Mock(), SEALED, HEADER, [])


def cut_once_on_the_disk(write: Callable[[], None]) -> None:
    """Let the power be cut when the file's bytes are on the disk, under the name that it has until then."""
    wait = os.fsync

    def cut(descriptor: int) -> None:
        wait(descriptor)
        raise PowerCut

    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(os, "fsync", cut)
        write()


def as_nobody(folder: Path, do: Callable[[], None]) -> int | None:
    """Do it in a process that owns the folder, stands in it and has no rights beyond; its exit status."""

    def child() -> None:
        os.chdir(folder)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        do()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return process.exitcode


def test_what_a_power_cut_left_read_only_is_written_anew(tmp_path: Path) -> None:
    def twice() -> None:
        write_index(b"old")
        cut_once_on_the_disk(write_index)
        assert NAME.read_bytes() == b"old"
        write_index()

    assert as_nobody(tmp_path, twice) == 0
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"new"
    assert left.stat().st_mode & 0o777 == 0o444


def test_a_change_set_that_a_power_cut_left_read_only_is_written_anew(tmp_path: Path) -> None:
    def twice() -> None:
        cut_once_on_the_disk(write_change_set)
        assert SEALED.stat().st_mode & 0o777 == 0o444
        write_change_set()

    assert as_nobody(tmp_path, twice) == 0
    with (tmp_path / SEALED).open("rb") as file:
        assert changeset.check(file, SEALED.name)[0] == HEADER
