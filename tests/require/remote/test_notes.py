"""What a host keeps between two runs: lock, journal, markers."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from require.remote import journal, lock, pending, private
from require.remote.shell import Refused

HOLDER = {"owner": "ops@desk", "run": "r1", "at": "now", "expires": "later"}
RESTART = {
    "key": "systemd.restarted:a/b.service",
    "noun": "systemd",
    "spec": {"verb": "restarted", "name": "a/b.service"},
    "before": [],
}


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[str]:
    yield private.folder(str(tmp_path / "state" / "runs"))
    signal.alarm(0)  # or a lock that a test took would end the tests


def test_a_private_folder_is_for_us_alone(runs: str) -> None:
    os.chmod(runs, 0o755)
    assert os.stat(private.folder(runs)).st_mode & 0o777 == 0o700


def test_a_link_in_place_of_a_private_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to("/etc")
    with pytest.raises(Refused, match="not a directory of ours"):
        private.folder(str(tmp_path / "runs"))


def test_the_lock_tells_who_has_it(runs: str) -> None:
    assert lock.holder(runs) is None
    held = lock.take(runs, HOLDER, 60)
    assert lock.holder(runs) == HOLDER
    with pytest.raises(lock.Held) as error:
        lock.take(runs, {"owner": "other"}, 60)
    assert error.value.holder == HOLDER
    os.close(held)
    assert lock.holder(runs) is None


def test_who_only_looks_at_the_lock_does_not_keep_it_from_the_next(
    runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(lock.take(runs, HOLDER, 60))
    looking = os.open(f"{runs}/lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    looks = [looking]
    monkeypatch.setattr(time, "sleep", lambda seconds: looks and os.close(looks.pop()))
    os.close(lock.take(runs, {"owner": "next"}, 60))


def test_the_lock_of_a_holder_that_was_killed_is_free(runs: str) -> None:
    child = os.fork()
    if child == 0:
        lock.take(runs, HOLDER, 60)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert lock.holder(runs) is None
    os.close(lock.take(runs, {"owner": "next"}, 60))


def test_a_holder_does_not_outlive_its_expiry(runs: str) -> None:
    os.close(lock.take(runs, HOLDER, 60))
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert 0 < signal.alarm(0) <= 60


def test_the_journal_tells_how_the_last_run_ended(runs: str) -> None:
    assert journal.last(runs) is None
    log = journal.Journal(runs, "r1")
    log.write("start", operator="ops@desk", at="2026", steps=["a"])
    log.write("begin", key="a")
    with open(f"{runs}/r1/journal.jsonl", "a") as file:
        file.write('{"event":"en')  # what a power cut leaves
    assert journal.last(runs) == {
        "run": "r1",
        "operator": "ops@desk",
        "at": "2026",
        "finished": False,
        "running": False,
        "failed": [],
    }
    log = journal.Journal(runs, "r2")
    log.write("start", operator="ops@desk", at="2027", steps=["a"])
    log.write("end", key="a", status="failed", reason="why")
    log.write("finish", at="2027")
    last = journal.last(runs)
    assert last is not None
    assert (last["run"], last["finished"], last["failed"]) == ("r2", True, ["a"])


@pytest.fixture
def nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes ten bytes more: it takes what fits and says so only at the next."""
    left, write = [10], os.write

    def some(handle: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = write(handle, data[: left[0]])
        left[0] -= count
        return count

    monkeypatch.setattr(os, "write", some)


def test_a_line_that_does_not_fit_leaves_no_half_behind(
    runs: str, request: pytest.FixtureRequest
) -> None:
    log = journal.Journal(runs, "r1")
    log.write("start", operator="ops@desk", at="2026", steps=["a"])
    request.getfixturevalue("nearly_full")
    with pytest.raises(OSError, match="No space left"):
        log.write("begin", key="a")
    request.getfixturevalue("monkeypatch").undo()
    log.write("finish", at="2026")
    last = journal.last(runs)
    assert last is not None
    assert last["finished"]


def test_a_marker_that_does_not_fit_is_not_there_at_all(
    runs: str, nearly_full: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="No space left"):
        pending.mark(runs, RESTART, "r1")
    assert os.listdir(runs) == []
    assert pending.waiting(runs) == []


def test_a_marker_of_an_earlier_declaration_is_renewed_and_is_no_new_one(runs: str) -> None:
    later = {**RESTART, "before": ["command:"]}
    assert pending.mark(runs, RESTART, "r1")
    assert not pending.mark(runs, later, "r2")
    assert [each["before"] for each in pending.waiting(runs)] == [["command:"]]


def test_a_run_does_not_happen_twice(runs: str) -> None:
    journal.Journal(runs, "r1")
    with pytest.raises(Refused, match="r1 has been here already"):
        journal.Journal(runs, "r1")


def test_old_journals_are_forgotten(runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEEP", 3)
    for number in range(6):
        journal.Journal(runs, f"r{number}")
        os.utime(f"{runs}/r{number}", (number, number))
    assert sorted(each.name for each in os.scandir(runs) if each.is_dir()) == ["r3", "r4", "r5"]


def test_a_marker_is_set_once_and_holds_what_its_handler_needs(runs: str) -> None:
    assert pending.waiting(runs) == []
    assert pending.mark(runs, RESTART, "r1") is True
    assert pending.mark(runs, RESTART, "r2") is False
    (Path(runs) / "half~").write_text("{")
    assert pending.waiting(runs) == [{**RESTART, "run": "r1"}]
    pending.clear(runs, RESTART["key"])  # type: ignore[arg-type]
    pending.clear(runs, RESTART["key"])  # type: ignore[arg-type]
    assert pending.waiting(runs) == []


def test_markers_of_a_host_that_has_none_are_none(tmp_path: Path) -> None:
    assert pending.waiting(str(tmp_path / "nowhere")) == []


def test_a_marker_that_is_cleared_while_somebody_looks_is_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = private.folder(str(tmp_path / "pending"))
    pending.mark(folder, RESTART, "r1")
    monkeypatch.setattr(os, "listdir", lambda folder: ["systemd.restarted:gone.service"])
    assert pending.waiting(folder) == []


def test_a_marker_is_plain_json(runs: str) -> None:
    pending.mark(runs, RESTART, "r1")
    (name,) = os.listdir(runs)
    assert name == "systemd.restarted:a%2fb.service"
    assert json.loads((Path(runs) / name).read_text())["run"] == "r1"
