"""What a run replaces is kept before it is replaced, in its folder, within bounds."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from require.remote import file, kept
from require.remote.journal import KEEP, Journal, read
from require.remote.undo import merged


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@contextmanager
def step(runs: Path, run: str) -> Iterator[None]:
    with kept.Keeper(str(runs), run, Journal(str(runs), run)).step("file:x", []):
        yield


def lines(runs: Path, run: str) -> list[dict[str, Any]]:
    return [each for each in read(str(runs), run) if each["event"] == "kept"]


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_is_replaced_has_a_second_name_before_it_is(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "conf", "old\n")
    inode = path.stat().st_ino
    with pytest.raises(OSError, match="No space"), step(runs, "r1"):
        monkeypatch.setattr(os, "replace", no_space)
        file.put(str(path), b"new\n")
    assert path.read_text() == "old\n"
    assert (runs / "r1" / "kept-1").stat().st_ino == inode
    (line,) = lines(runs, "r1")
    assert (line["path"], line["copy"], line["was"]["kind"]) == (str(path), "kept-1", "file")


def test_what_cannot_be_kept_is_not_replaced(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "conf", "old\n")
    with pytest.raises(OSError, match="No space"), step(runs, "r1"):
        monkeypatch.setattr(Journal, "write", no_space)
        file.put(str(path), b"new\n")
    assert path.read_text() == "old\n"
    assert path.stat().st_nlink == 1
    assert not (runs / "r1" / "kept-1").exists()


def test_where_there_are_no_links_it_is_copied(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", other_disk)
    path = written(tmp_path / "conf", "old\n")
    with step(runs, "r1"):
        file.put(str(path), b"new\n")
    copy = runs / "r1" / "kept-1"
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("old\n", 0o600)


def test_a_run_keeps_no_more_than_its_share(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_OF_RUN", 10)
    with step(runs, "r1"):
        for name in ("a", "b"):
            file.put(str(written(tmp_path / name, "123456")), b"")
    assert [each["copy"] for each in lines(runs, "r1")] == ["kept-1", ""]


def test_on_a_disk_that_is_nearly_full_little_is_kept(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nearly_full(path: str) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=10, f_frsize=4)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    for run, text in (("r1", "x" * 10), ("r2", "x" * 11), ("r3", "x" * 14), ("r4", "")):
        path = written(tmp_path / run, text)
        with step(runs, run):
            file.put(str(path), b"new\n")
    # A quarter of 40, then of 50 with what was kept before: and that takes the place of r1's.
    assert [lines(runs, run)[0]["copy"] for run in ("r1", "r2", "r3", "r4")] == [
        "kept-1",
        "kept-1",
        "",
        "kept-1",
    ]
    assert not (runs / "r1" / "kept-1").exists()


def test_the_oldest_make_room(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_OF_RUN", 10)
    monkeypatch.setattr(kept, "MOST", 30)
    for number in range(4):
        with step(runs, f"r{number}"):
            file.put(str(written(tmp_path / "conf", f"{number}23456789")), b"")
        os.utime(runs / f"r{number}" / "journal.jsonl", (number, number))
    with step(runs, "r4"):
        there = sorted(each.parent.name for each in runs.glob("*/kept-*"))
    assert there == ["r2", "r3"]
    assert len(lines(runs, "r0")) == 1, "the journals stay"


def test_what_was_kept_goes_with_its_journal(runs: Path, tmp_path: Path) -> None:
    with step(runs, "first"):
        file.put(str(written(tmp_path / "conf", "old\n")), b"new\n")
    os.utime(runs / "first" / "journal.jsonl", (1, 1))
    for number in range(KEEP):
        Journal(str(runs), f"r{number}")
    assert not (runs / "first").exists()


def test_what_the_last_run_kept_is_there_for_the_next_though_the_clock_went_back(
    runs: Path, tmp_path: Path
) -> None:
    for number in range(KEEP):
        Journal(str(runs), f"r{number}")
        os.utime(runs / f"r{number}" / "journal.jsonl", (4e9 + number, 4e9 + number))
    with step(runs, "since"):
        file.put(str(written(tmp_path / "conf", "old\n")), b"new\n")
    with step(runs, "undo"):
        assert (runs / "since" / "kept-1").read_text() == "old\n"
    left = {each.name for each in runs.iterdir()}
    assert {"r0", "r1"}.isdisjoint(left)
    assert {"r2", f"r{KEEP - 1}", "since", "undo"} <= left


def test_outside_of_a_step_nothing_is_kept(runs: Path, tmp_path: Path) -> None:
    with step(runs, "r1"):
        pass
    file.put(str(written(tmp_path / "conf", "old\n")), b"new\n")
    assert lines(runs, "r1") == []


def event(path: str, was: str, made: str, copy: str = "", **more: Any) -> dict[str, Any]:
    def state(sha: str) -> dict[str, Any]:
        return {"kind": "file", "sha": sha} if sha else {"kind": "absent"}

    line = {"event": "kept", "key": f"file:{path}", "path": path, "folder": "/runs/r1"}
    line |= {"was": state(was), "made": state(made), "copy": copy, "secret": False, "notify": []}
    return line | more


def test_several_changes_of_a_path_are_one_from_the_first_to_the_last() -> None:
    events = [
        event("/a", "1", "1"),
        event("/b", "", "2", notify=[{"key": "h1"}]),
        event("/a", "1", "3", notify=[{"key": "h1"}, {"key": "h2"}], secret=True),
    ]
    b, a = merged(events)
    assert (b["path"], b["was"], len(b["ours"]), b["secret"]) == (
        "/b",
        {"kind": "absent"},
        2,
        False,
    )
    assert (a["path"], a["was"]["sha"], len(a["ours"]), a["secret"]) == ("/a", "1", 4, True)
    assert [each["key"] for each in a["notify"]] == ["h1", "h2"]
