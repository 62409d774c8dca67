"""Whole converges of this machine, below tmp_path: the plain way, and what becomes of failures."""

from __future__ import annotations

from typing import Any

import pytest

import require
from require import (
    CountingTransport,
    DeclarationError,
    FakeTransport,
    LocalTransport,
    ProtocolError,
    Unreachable,
)
from require.remote.wire import MAGIC
from require.resource import NoChange, Plan, Unknown
from require.resources.command import Command
from require.result import Event
from tests.require.host import Host, note, statuses


def test_the_second_converge_changes_nothing_in_one_trip(host: Host) -> None:
    with host.files(3) as catalog:
        require.file.directory(host.path("sub"), owner=None, mode=0o700)
        require.file.link(host.path("sub/link"), "../file 0")
        require.command.command(
            "make", ["touch", host.path("made")], creates=host.path("made"), user=""
        )
    first = host.converge(catalog)
    assert set(statuses(first).values()) == {"changed"}
    assert first.errors == ()
    assert first.trips == 2
    assert host.read("file 0") == "one\n"
    second = host.converge(catalog)
    assert set(statuses(second).values()) == {"ok"}
    assert (second.trips, second.differs, second.failed, second.run) == (1, False, False, "")
    assert second.last_run is not None
    assert (second.last_run.run, second.last_run.finished) == (first.run, True)


def test_check_shows_what_would_change_and_touches_nothing(host: Host) -> None:
    with host.files(1, "old\n") as catalog:
        pass
    host.converge(catalog)
    with host.files(1, "new\n") as catalog:
        require.file.file(
            host.path("more"), content="", owner=None, notify=[note(host, "restarts")]
        )
    result = host.converge(catalog, check=True)
    assert result.trips == 1
    assert result.differs
    assert result.diffs[f"file:{host.path('file 0')}"].endswith("@@ -1 +1 @@\n-old\n+new\n")
    assert [each.key for each in result.changes] == [
        f"file:{host.path('file 0')}",
        f"file:{host.path('more')}",
        "command.handler:restarts",
    ]
    assert host.read("file 0") == "old\n"
    assert not (host.root / "more").exists()


@pytest.mark.parametrize("count", [1, 33, pytest.param(330, marks=pytest.mark.slow)])
def test_trips_do_not_grow_with_the_number_of_resources(host: Host, count: int) -> None:
    with host.files(count) as catalog:
        pass
    counting = CountingTransport(LocalTransport())
    assert host.converge(catalog, transport=counting).trips == counting.trips == 2
    noop = CountingTransport(LocalTransport())
    assert host.converge(catalog, transport=noop).trips == noop.trips == 1
    assert noop.bytes_sent + noop.bytes_received < 6_000 + 100 * count


def test_what_is_as_declared_is_looked_at_again_after_the_others_changed(host: Host) -> None:
    """A package that starts a service that is declared stopped, in small."""
    with require.declare() as catalog:
        require.file.absent(host.path("started"))
        require.command.command(
            "install",
            f"touch '{host.path('installed')}' '{host.path('started')}'",
            creates=host.path("installed"),
        )
    result = host.converge(catalog)
    assert result.errors == ()
    assert result.trips == 3
    assert set(statuses(result).values()) == {"changed"}
    assert not (host.root / "started").exists()
    assert host.converge(catalog).trips == 1


def test_two_that_undo_each_other_are_an_error(host: Host) -> None:
    a, b = host.path("a"), host.path("b")
    (host.root / "b").touch()
    with require.declare() as catalog:
        require.command.command("a", f"touch '{a}'; rm '{b}'", creates=a)
        require.command.command("b", f"touch '{b}'; rm '{a}'", creates=b)
    result = host.converge(catalog)
    assert statuses(result) == {"command:a": "failed", "command:b": "changed"}
    assert "command:a" in result.errors[0]
    assert "it was applied, and now: run" in result.errors[0]


def test_a_host_that_is_away_when_what_was_disturbed_is_mended_is_told_so(host: Host) -> None:
    with require.declare() as catalog:
        require.file.absent(host.path("started"))
        require.command.command(
            "install",
            f"touch '{host.path('installed')}' '{host.path('started')}'",
            creates=host.path("installed"),
        )

    class Leaving(LocalTransport):
        calls = 0

        def call(self, *given: Any, **named: Any) -> bytes:
            self.calls += 1
            if self.calls == 3:
                raise Unreachable(self.host, "no route")
            return super().call(*given, **named)

    result = host.converge(catalog, transport=Leaving())
    assert result.failed
    assert f"disturbed what had been as declared (file:{host.path('started')})" in result.errors[0]
    assert "could not begin: no route; converge again" in result.errors[0]


def test_what_is_still_different_after_it_was_applied_is_an_error(host: Host) -> None:
    with require.declare() as catalog:
        require.command.command("useless", ["true"], creates=host.path("never"))
    result = host.converge(catalog)
    assert statuses(result) == {"command:useless": "failed"}
    assert "command:useless" in result.errors[0]
    assert "it was applied, and still: run true" in result.errors[0]
    assert "test_converge.py:" in result.errors[0]


def test_progress_tells_each_stage_and_step(host: Host) -> None:
    events: list[Event] = []
    with host.files(2) as catalog:
        pass
    host.converge(catalog, progress=events.append)
    assert list(dict.fromkeys(event.stage for event in events)) == [
        "probe",
        "plan",
        "apply",
        "verify",
        "done",
    ]
    ended = [(event.done, event.total) for event in events if event.status == "changed"]
    assert ended == [(1, 2), (2, 2)]


def test_a_failed_step_stops_its_dependants_only(host: Host) -> None:
    with require.declare() as catalog:
        broken = require.command.command(
            "broken", ["/bin/sh", "-c", "echo no disk >&2; exit 1"], creates=host.path("none")
        )
        require.file.directory(host.path("sub"), owner=None, needs=[broken])
        require.file.file(host.path("sub/file"), content="", owner=None)
        require.file.file(host.path("other"), content="", owner=None)
    result = host.converge(catalog)
    assert statuses(result) == {
        "command:broken": "failed",
        "sub": "skipped",
        "file": "skipped",
        "other": "changed",
    }
    assert any("exit code 1: no disk" in error for error in result.errors)
    assert any("it needs command:broken, which failed" in error for error in result.errors)


def test_what_cannot_be_looked_at_is_unknown_and_not_touched(host: Host) -> None:
    (host.root / "dir").mkdir()
    with require.declare() as catalog:
        require.file.file(host.path("dir"), content="", owner=None)
        require.file.file(host.path("dir/inside"), content="", owner=None)
        require.file.file(host.path("other"), content="", owner=None)
    result = host.converge(catalog)
    assert statuses(result) == {"dir": "unknown", "inside": "skipped", "other": "changed"}
    assert "a directory is in the way" in result.errors[0]


def test_what_must_wait_for_another_is_decided_on_the_host(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown until something is applied: the step looks again just before."""
    looked: list[str] = []

    def plan(self: Command, state: Any) -> Plan:
        looked.append(self.key)
        # Twice from here: by `check` and before the apply. Then it is there, and can be known.
        return Unknown("until it is there") if looked.count(self.key) < 3 else NoChange()

    monkeypatch.setattr(Command, "plan", plan)
    with require.declare() as catalog:
        for name in ("there", "missing"):
            require.command.command(
                name,
                ["touch", host.path(name)],
                creates=host.path(name),
                notify=[note(host, f"after {name}")],
            )
    (host.root / "there").touch()
    check = host.converge(catalog, check=True)
    assert [each.reason for each in check.unknowns] == ["until it is there"] * 2
    result = host.converge(catalog)
    results = {each.key: each for each in result.handlers}
    assert list(results) == ["command.handler:after missing"]
    assert statuses(result) == {"command:there": "ok", "command:missing": "changed"}
    assert not (host.root / "after there").exists()


def test_a_circle_is_found_before_the_host_is_asked(host: Host) -> None:
    with require.declare() as catalog:
        inside = require.file.file(host.path("a/b"), content="")
        require.file.directory(host.path("a"), needs=[inside])
    fake = FakeTransport([])
    with pytest.raises(DeclarationError, match="circle"):
        host.converge(catalog, transport=fake)
    assert fake.calls == []


def test_a_host_that_is_off_line_is_an_error_of_the_transport(host: Host) -> None:
    with host.files(1) as catalog, pytest.raises(Unreachable, match="EC-TAA: no route"):
        host.converge(catalog, transport=FakeTransport([Unreachable("EC-TAA", "no route")]))


@pytest.mark.parametrize("answer", [b"", b"bash: python3: not found", MAGIC, MAGIC + b"R\0"])
def test_an_answer_that_is_not_ours_is_named(host: Host, answer: bytes) -> None:
    with host.files(1) as catalog, pytest.raises(ProtocolError):
        host.converge(catalog, transport=FakeTransport([answer]))
