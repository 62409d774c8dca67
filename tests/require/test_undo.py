"""Undo puts back what the last run's files were, and is itself a run that can be undone."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import require
from require.remote import kept
from tests.require.host import Here, Host, note, statuses
from tests.require.test_changes import interrupted
from tests.require.test_properties import NAMES, STARTS, WISHES, starts, wishes

pytestmark = pytest.mark.slow

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def snapshot(root: Path) -> dict[str, Any]:
    """What is below a folder: kind, mode, content or target."""
    found: dict[str, Any] = {}
    for each in sorted(root.rglob("*")):
        seen = each.lstat()
        what = (
            os.readlink(each) if each.is_symlink() else each.read_text() if each.is_file() else ""
        )
        found[str(each.relative_to(root))] = (oct(seen.st_mode), seen.st_uid, seen.st_gid, what)
    return found


@pytest.fixture
def here() -> Iterator[Here]:
    """Both trips in this process, which afterwards is as it was."""
    mask = os.umask(0o022)
    yield Here()
    os.umask(mask)
    signal.alarm(0)


@pytest.mark.slow
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(found=starts, wished=wishes)
def test_undo_restores_the_start_and_undone_itself_the_end(
    here: Here, found: tuple[str, ...], wished: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        host = Host(Path(folder))
        os.umask(0o022)
        for name, start in zip(NAMES, found, strict=True):
            STARTS[start](host.root / name)
        with require.declare() as catalog:
            for name, wish in zip(NAMES, wished, strict=True):
                WISHES[wish](host.path(name))
        at_first = snapshot(host.root)
        host.converge(catalog, transport=here)
        at_last = snapshot(host.root)
        shown = host.undo(check=True, transport=here)
        undone = host.undo(transport=here)
        assert undone.errors == ()
        assert [each.key for each in shown.changes] == [each.key for each in undone.changes]
        assert snapshot(host.root) == at_first
        assert host.undo(transport=here).errors == ()
        assert snapshot(host.root) == at_last


class PowerCut(BaseException):
    pass


@pytest.mark.slow
def test_wherever_the_power_goes_undo_restores_the_start(
    host: Host, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power goes at each flush in turn, until a run has come to its end."""
    (host.root / "hosts").write_text("a\n")
    with require.declare() as catalog:
        require.file.directory(host.path("d"), owner=None)
        require.file.file(host.path("d/conf"), content="new\n", owner=None)
        require.line.line(host.path("hosts"), "b")
    at_first = snapshot(host.root)
    flush = os.fsync
    cuts = 0
    while True:
        left = cuts = cuts + 1

        def dies(handle: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise PowerCut
            flush(handle)

        monkeypatch.setattr(os, "fsync", dies)
        with contextlib.suppress(PowerCut):
            host.converge(catalog, transport=here)
        monkeypatch.setattr(os, "fsync", flush)
        if left > 0:
            break
        assert host.undo(transport=here).errors == ()
        assert snapshot(host.root) == at_first
    assert cuts > 15


def three(host: Host, text: str = "new\n") -> require.Catalog:
    """A file in a directory, with a handler, a line of another file, and a command."""
    with require.declare() as catalog:
        require.file.directory(host.path("d"), owner=None)
        require.file.file(
            host.path("d/conf"), content=text, owner=None, notify=[note(host, "restarts")]
        )
        require.line.line(host.path("hosts"), "b")
        require.command.command("c", ["touch", host.path("c")], creates=host.path("c"))
    return catalog


def test_what_it_would_do_is_shown_and_nothing_is_touched(host: Host) -> None:
    (host.root / "hosts").write_text("a\n")
    host.converge(three(host))
    before = snapshot(host.root)
    shown = host.undo(check=True)
    assert snapshot(host.root) == before
    assert statuses(shown) == dict.fromkeys(("hosts", "conf", "d"), "would change")
    assert shown.differs
    assert shown.trips == 1
    hosts, conf = (
        shown.diffs[f"file:{host.path('hosts')}"],
        shown.diffs[f"file:{host.path('d/conf')}"],
    )
    assert hosts.splitlines()[1] == f"+++ {host.path('hosts')} (before the run)"
    assert "-b" in hosts
    assert "-new" in conf
    assert [each.key for each in shown.handlers] == ["command.handler:restarts"]


def test_what_it_cannot_put_back_is_said(host: Host) -> None:
    host.converge(three(host))
    result = host.undo()
    assert result.errors == ()
    assert result.notes == ("command:c (changed): it cannot be put back",)
    assert set(snapshot(host.root)) == {"c", "restarts"}


def test_a_file_that_an_older_engine_changed_is_said_to_stay(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    journal = host.state / "runs" / host.converge(catalog).run / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"kept"' not in line))
    key = f"file:{host.path('file 0')}"
    assert host.undo().notes == (f"{key} (changed): it cannot be put back",)


def test_what_its_steps_notified_runs_again(host: Host) -> None:
    host.converge(three(host))
    result = host.undo()
    assert [(each.key, each.status) for each in result.handlers] == [
        ("command.handler:restarts", "changed")
    ]
    assert host.read("restarts") == "ran\nran\n"
    assert result.trips == 2
    host.undo()
    assert host.read("restarts") == "ran\nran\nran\n"
    assert list((host.state / "pending").iterdir()) == []


def test_a_run_whose_handler_another_run_caught_up_on_is_undone(host: Host) -> None:
    handler = require.command.handler("reload", f"test -e '{host.path('ready')}'")
    with require.declare() as catalog:
        require.file.file(host.path("conf"), content="", owner=None, notify=[handler])
    assert host.converge(catalog).failed
    assert host.converge(catalog).failed
    (host.root / "ready").touch()
    assert not host.converge(catalog).failed
    assert statuses(host.undo()) == {"conf": "changed"}
    assert not (host.root / "conf").exists()


def test_when_its_handler_fails_the_files_are_back_and_the_next_run_tries_again(host: Host) -> None:
    handler = require.command.handler("reload", f"test ! -e '{host.path('broken')}'")
    with require.declare() as catalog:
        require.file.file(host.path("conf"), content="", owner=None, notify=[handler])
    host.converge(catalog)
    (host.root / "broken").touch()
    undone = host.undo()
    assert (statuses(undone), len(undone.errors)) == ({"conf": "changed"}, 1)
    assert not (host.root / "conf").exists()
    (host.root / "broken").unlink()
    assert [each.status for each in host.converge(catalog).handlers] == ["changed"]


def test_a_file_that_is_no_longer_what_the_run_made_is_left(host: Host) -> None:
    host.converge(three(host))
    (host.root / "hosts").write_text("theirs\n")
    result = host.undo()
    assert len(result.errors) == 1
    assert f"file:{host.path('hosts')} (run " in result.errors[0]
    assert "no longer what that run" in result.errors[0]
    assert host.read("hosts") == "theirs\n"
    assert not (host.root / "d").exists()


def test_a_directory_and_what_is_in_it_come_back(host: Host) -> None:
    (host.root / "private").mkdir(mode=0o700)
    (host.root / "private" / "conf").write_text("old\n")
    (host.root / "gone").mkdir()
    (host.root / "gone" / "conf").write_text("old\n")
    with require.declare() as catalog:
        require.file.directory(host.path("private"), owner=None)
        require.file.file(host.path("private/conf"), content="new\n", owner=None)
        require.file.absent(host.path("gone/conf"))
        require.file.absent(host.path("gone"))
        require.file.directory(host.path("new"), owner=None)
        require.file.file(host.path("new/conf"), content="new\n", owner=None)
    at_first = snapshot(host.root)
    assert host.converge(catalog).errors == ()
    at_last = snapshot(host.root)
    for there in (at_first, at_last):
        assert host.undo().errors == ()
        assert snapshot(host.root) == there


def test_what_is_in_a_directory_that_somebody_changed_since_is_put_back(host: Host) -> None:
    (host.root / "d").mkdir(mode=0o700)
    (host.root / "d" / "conf").write_text("old\n")
    host.converge(three(host))
    (host.root / "d").chmod(0o711)
    assert statuses(host.undo()) == {"hosts": "changed", "conf": "changed", "d": "unknown"}
    assert host.read("d/conf") == "old\n"


def test_what_was_written_by_way_of_a_link_is_put_back_where_it_is(host: Host) -> None:
    for name in ("v1", "v2"):
        (host.root / name).mkdir()
        (host.root / name / "conf").write_text(f"{name}\n")
    (host.root / "current").symlink_to("v1")
    with require.declare() as catalog:
        require.file.link(host.path("current"), "v2")
        require.file.file(host.path("current/conf"), content="new\n", owner=None)
    at_first = snapshot(host.root)
    host.converge(catalog)
    at_last = snapshot(host.root)
    for there in (at_first, at_last):
        assert host.undo().errors == ()
        assert snapshot(host.root) == there


def test_a_directory_with_something_else_in_it_stays(host: Host) -> None:
    host.converge(three(host))
    (host.root / "d" / "theirs").touch()
    result = host.undo()
    assert statuses(result) == {"hosts": "changed", "conf": "changed", "d": "failed"}
    assert "the directory is not empty" in result.errors[0]


def test_a_host_that_nobody_changed_has_nothing_to_undo(host: Host) -> None:
    result = host.undo()
    assert (result.errors, result.outcomes, result.run, result.trips) == ((), (), "", 1)
    assert not host.state.exists()


def test_a_run_that_was_cut_is_undone_and_the_next_converge_finishes(host: Host) -> None:
    catalog = interrupted(host)
    host.converge(catalog)
    result = host.undo()
    assert result.errors == ()
    assert result.notes == ("command:power cut (begun): it cannot be put back",)
    assert not (host.root / "conf").exists()
    assert host.read("restarts") == "ran\n"
    assert host.converge(catalog).errors == ()
    assert (host.root / "after").exists()


def test_a_secret_is_put_back_and_shown_to_nobody(host: Host) -> None:
    def secret(text: str) -> require.Catalog:
        with require.declare() as catalog:
            content = require.Secret(text)
            require.file.file(host.path("key"), content=content, mode=0o600, owner=None)
        return catalog

    host.converge(secret("first pa55word\n"))
    host.converge(secret("other pa55word\n"))
    shown, undone = host.undo(check=True), host.undo()
    assert host.read("key") == "first pa55word\n"
    again = host.undo(check=True)
    journals = [each.read_text() for each in host.state.rglob("*.jsonl")]
    assert "pa55word" not in f"{shown!r} {undone!r} {again!r} {journals}"
    assert shown.changes


@pytest.mark.parametrize(
    "wish", [require.file.absent, lambda path: require.file.link(path, "elsewhere")]
)
def test_what_was_removed_unseen_comes_back_unseen(host: Host, wish: Any) -> None:
    (host.root / "key").write_text("pa55word\n")
    with require.declare() as catalog:
        wish(host.path("key"))
    host.converge(catalog)
    shown, undone = host.undo(check=True), host.undo()
    assert shown.changes
    assert "pa55word" not in f"{shown!r} {undone!r}"
    assert host.read("key") == "pa55word\n"


def test_the_attributes_come_back(host: Host) -> None:
    path = host.root / "tool"
    path.write_text("x")
    path.chmod(0o4711)
    with require.declare() as catalog:
        require.file.file(host.path("tool"), content="x", owner=None, mode=0o600)
    host.converge(catalog)
    assert path.stat().st_nlink == 1, "cron reads no file with two names"
    assert statuses(host.undo()) == {"tool": "changed"}
    assert path.stat().st_mode & 0o7777 == 0o4711


def test_a_converge_that_mended_what_it_disturbed_is_undone_as_one(host: Host) -> None:
    (host.root / "conf").write_text("ours\n")
    with require.declare() as catalog:
        require.file.file(host.path("conf"), content="ours\n", owner=None)
        require.file.file(host.path("first"), content="", owner=None)
        require.command.command(
            "package",
            f"echo theirs > '{host.path('conf')}'; touch '{host.path('c')}'",
            creates=host.path("c"),
        )
    assert host.converge(catalog).trips == 3
    result = host.undo()
    assert statuses(result) == {"conf": "changed", "first": "changed"}
    assert host.read("conf") == "theirs\n"
    assert not (host.root / "first").exists()


def test_a_copy_that_was_written_to_is_not_put_back(host: Host) -> None:
    (host.root / "log").write_text("one\n")
    with require.declare() as catalog, open(host.path("log"), "a") as daemon:
        require.file.absent(host.path("log"))
        host.converge(catalog)
        daemon.write("two\n")
    result = host.undo()
    assert "was written to since it was kept" in result.errors[0]
    assert not (host.root / "log").exists()


def test_what_is_too_large_to_keep_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(host.path("log"), "wb") as log:
        log.truncate(kept.MOST_OF_RUN + 1)
    with require.declare() as catalog:
        require.file.absent(host.path("log"))
    assert statuses(host.converge(catalog)) == {"log": "changed"}
    assert "is not kept: it was too large" in host.undo().errors[0]
