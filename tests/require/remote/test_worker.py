"""What goes wrong with one step of a run, or with what is noted of it, ends that step and not the run."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import require
from require.remote import pending, systemd
from require.remote.journal import Journal
from require.resource import Unknown
from require.resources.command import Command
from require.result import Result
from tests.require.host import Here, Host, note, statuses


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    mask = os.umask(0o077)
    yield
    os.umask(mask)
    signal.alarm(0)  # or the lock of a run would end the tests


@pytest.fixture
def two(host: Host) -> require.Catalog:
    """Two files that need nothing of each other, each with a handler."""
    with require.declare() as catalog:
        for name in ("a", "b"):
            handler = note(host, f"after {name}")
            require.file.file(host.path(name), content="new\n", owner=None, notify=[handler])
    return catalog


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def finished(host: Host, result: Result) -> bool:
    return host.journal(result.run)[-1]["event"] == "finish"


@pytest.mark.parametrize(("event", "written"), [("begin", False), ("end", True)])
def test_a_step_that_cannot_be_noted_fails_and_the_others_go_on(
    host: Host, two: require.Catalog, monkeypatch: pytest.MonkeyPatch, event: str, written: bool
) -> None:
    write = Journal.write

    def full_at_a(self: Journal, what: str, **values: Any) -> None:
        if (what, values.get("key")) == (event, f"file:{host.path('a')}"):
            full()
        write(self, what, **values)

    monkeypatch.setattr(Journal, "write", full_at_a)
    result = host.converge(two, transport=Here())
    assert statuses(result) == {"a": "failed", "b": "changed"}
    assert len(result.errors) == 1
    assert "No space left on device" in result.errors[0]
    assert (host.root / "a").exists() is written
    assert (host.root / "after a").exists() is written
    assert host.read("after b") == "ran\n"
    assert finished(host, result)


def test_a_step_whose_handler_cannot_be_noted_is_not_begun(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with require.declare() as catalog:
        handlers = [note(host, "first"), note(host, "second")]
        require.file.file(host.path("a"), content="", owner=None, notify=handlers)
        require.file.file(host.path("b"), content="", owner=None)
    mark = pending.mark

    def full_at_second(folder: str, handler: pending.Handler, run: str) -> bool:
        if handler["key"].endswith("second"):
            full()
        return mark(folder, handler, run)

    monkeypatch.setattr(pending, "mark", full_at_second)
    result = host.converge(catalog, transport=Here())
    assert statuses(result) == {"a": "failed", "b": "changed"}
    assert not (host.root / "a").exists()
    assert list((host.state / "pending").iterdir()) == []
    assert not (host.root / "first").exists()
    assert finished(host, result)


def test_a_needless_handler_whose_marker_stays_fails_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that was restarted need not reload: only the marker of that is removed."""
    with require.declare() as catalog:
        both = [require.systemd.reloaded("x"), require.systemd.restarted("x")]
        require.file.file(host.path("a"), content="", owner=None, notify=both)
    clear = pending.clear

    def full_at_reloaded(folder: str, key: str) -> None:
        if "reloaded" in key:
            full()
        clear(folder, key)

    monkeypatch.setattr(pending, "clear", full_at_reloaded)
    monkeypatch.setattr(systemd, "handle", lambda spec: None)
    result = host.converge(catalog, transport=Here())
    assert statuses(result) == {"a": "changed"}
    assert [each.status for each in result.handlers] == ["changed", "failed"]
    assert finished(host, result)


def test_a_journal_that_takes_nothing_more_does_not_keep_the_outcome_from_us(
    host: Host, two: require.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Journal.write
    monkeypatch.setattr(
        Journal,
        "write",
        lambda self, what, **more: (write if what == "start" else full)(self, what),
    )
    result = host.converge(two, transport=Here())
    assert set(statuses(result).values()) == {"failed"}
    assert all("No space left on device" in error for error in result.errors)


def test_what_cannot_be_looked_at_after_it_was_applied_fails_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Command, "plan", lambda self, state: Unknown("until it is applied"))
    with require.declare() as catalog:
        require.command.command(
            "odd",
            ["touch", host.path("odd")],
            unless=f"test ! -e '{host.path('odd')}' || kill -9 $PPID; false",
            user="",
            notify=[note(host, "after odd")],
        )
        require.file.file(host.path("b"), content="", owner=None)
    result = host.converge(catalog, transport=Here())
    assert statuses(result) == {"command:odd": "failed", "b": "changed"}
    assert result.errors[0].endswith("the probe died")
    assert host.read("after odd") == "ran\n", "it may have been changed, so its handler must run"
    assert finished(host, result)


def test_what_goes_wrong_before_the_first_step_is_a_run_that_could_not_begin(
    host: Host, two: require.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "write", full)
    result = host.converge(two, transport=Here())
    (error,) = result.errors
    assert error.startswith("nothing was changed: ")
    assert f"{host.state}: [Errno 28] No space left on device: make room there" in error
    assert not (host.root / "a").exists()
