"""Runs on a host: links that drop, one at a time, the journal, secrets, and a run that cannot begin."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import require
from require import (
    CommandFailed,
    FakeTransport,
    LocalTransport,
    Secret,
)
from require.remote.wire import MAGIC, frame
from require.secret import MASK
from tests.require.host import Clock, Cut, Host, Meddling, note


def gated(host: Host) -> require.Catalog:
    """A command that waits at a gate, then a file with a handler."""
    os.mkfifo(host.path("gate"))
    with require.declare() as catalog:
        require.command.command(
            "wait",
            f"cat '{host.path('gate')}'; touch '{host.path('begun')}'",
            creates=host.path("begun"),
        )
        require.file.file(
            host.path("after"), content="", owner=None, notify=[note(host, "restarts")]
        )
    return catalog


def open_gate(host: Host) -> None:
    with open(host.path("gate"), "w"):
        pass


def test_a_link_that_drops_does_not_leave_half_a_host(host: Host) -> None:
    catalog, clock = gated(host), Clock()
    lost = host.converge(catalog, transport=Cut(down=99), clock=clock, sleep=clock.sleep)
    assert lost.link_lost
    assert clock.now < 150, "the host is not called for ever"
    assert f"the end of run {lost.run} was not seen" in lost.errors[0]
    assert "converge again to see and to finish" in lost.errors[0]
    assert {each.status for each in lost.outcomes} == {"unknown"}

    meanwhile = host.converge(catalog)
    assert "being changed by ops@desk" in meanwhile.errors[0]
    assert meanwhile.held == lost.run
    assert meanwhile.last_run is not None
    assert meanwhile.last_run.running

    open_gate(host)
    host.wait_for_the_run()
    result = host.converge(catalog)
    assert result.trips == 1
    assert not result.differs
    assert result.last_run is not None
    assert (result.last_run.run, result.last_run.finished) == (lost.run, True)
    assert host.read("restarts") == "ran\n"


def test_a_host_that_another_operator_changes_is_left_alone(host: Host) -> None:
    runs = host.state / "runs"
    runs.mkdir(parents=True, mode=0o700)
    with open(runs / "lock", "w") as file, host.files(1) as catalog:
        holder = {"owner": "eva@gate", "run": "r7", "at": "08:00", "expires": "09:00"}
        file.write(json.dumps(holder))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        result = host.converge(catalog)
        assert "changed by eva@gate (run r7, since 08:00, at most until 09:00)" in result.errors[0]
        assert result.trips == 1
        assert host.converge(catalog, check=True).errors == ()
    assert not (host.root / "file 0").exists()
    assert not host.converge(catalog).failed


def test_an_operator_who_comes_between_look_and_apply_is_seen_too(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    host.converge(catalog)
    with open(host.state / "runs" / "lock", "r+") as file, host.files(1, "two\n") as catalog:
        meddling = Meddling(lambda: fcntl.flock(file, fcntl.LOCK_EX))
        result = host.converge(catalog, transport=meddling)
    assert "the host is being changed by" in result.errors[0]
    assert host.read("file 0") == "one\n"


def test_the_journal_is_private_and_tells_each_step(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    result = host.converge(catalog)
    assert (host.state / "runs").stat().st_mode & 0o777 == 0o700
    key = f"file:{host.path('file 0')}"
    events = [
        (each["event"], each.get("key"), each.get("status")) for each in host.journal(result.run)
    ]
    assert events == [
        ("start", None, None),
        ("begin", key, None),
        ("kept", key, None),
        ("end", key, "changed"),
        ("finish", None, None),
    ]
    assert host.journal(result.run)[0]["operator"] == "ops@desk"


def test_a_run_that_arrives_twice_happens_once(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    host.converge(catalog, run_id=lambda: "r1")
    (host.root / "file 0").unlink()
    result = host.converge(catalog, run_id=lambda: "r1")
    assert "the run r1 has been here already" in result.errors[0]
    assert not (host.root / "file 0").exists()


def test_no_program_is_left_on_the_host(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    host.converge(catalog)
    left = {each.name for each in host.state.rglob("*") if each.is_file()}
    assert left == {"lock", "last", "journal.jsonl"}


def test_a_secret_reaches_the_host_and_nothing_else(host: Host, tmp_path: Path) -> None:
    (tmp_path / "key.j2").write_text("key {{ key }}\n")
    (host.root / "key").write_text("key former\n")
    with require.declare(templates=tmp_path) as catalog:
        require.file.template(host.path("key"), template="key.j2", owner=None, key=Secret("s3cret"))
        require.command.command(
            "leak",
            ["/bin/sh", "-c", "cat >&2; exit 1"],
            creates=host.path("none"),
            stdin=Secret("pa55word"),
        )
    fake_argv: list[str] = []

    class Watching(LocalTransport):
        def call(self, command: str, *rest: Any, **named: Any) -> bytes:
            fake_argv.append(command)
            return super().call(command, *rest, **named)

    result = host.converge(catalog, transport=Watching())
    assert host.read("key") == "key s3cret\n"
    journal = (host.state / "runs" / result.run / "journal.jsonl").read_text()
    seen = f"{result!r} {result.as_dict()} {journal} {fake_argv}"
    assert "leak" in seen
    for secret in ("s3cret", "pa55word", "former"):
        assert secret not in seen


def test_a_secret_of_a_template_is_masked_in_what_the_host_says(host: Host, tmp_path: Path) -> None:
    (tmp_path / "conf.j2").write_text("password = {{ password }}\n")
    with require.declare(templates=tmp_path) as catalog:
        conf = require.file.template(
            host.path("conf"), template="conf.j2", owner=None, password=Secret("pa55word")
        )
        require.command.command(
            "start",
            f"echo 'bad line:' $(cat '{host.path('conf')}') >&2; exit 1",
            creates=host.path("none"),
            needs=[conf],
        )
    result = host.converge(catalog)
    journal = (host.state / "runs" / result.run / "journal.jsonl").read_text()
    assert f"bad line: password = {MASK}" in result.errors[0]
    assert "bad line" in journal
    assert "pa55word" not in f"{result!r} {journal} {conf!r}"


def test_a_secret_of_what_is_as_declared_is_masked_too(host: Host) -> None:
    key = host.path("key")
    (host.root / "key").write_text("pa55word")
    with require.declare() as catalog:
        require.file.file(key, content=Secret("pa55word"), owner=None)
        require.command.command("quote", f"cat '{key}' >&2; exit 1", creates=host.path("none"))
    (host.root / "key").chmod(0o644)
    result = host.converge(catalog)
    assert [each.status for each in result.outcomes] == ["ok", "failed"]
    journal = (host.state / "runs" / result.run / "journal.jsonl").read_text()
    assert MASK in host.journal(result.run)[2]["reason"]
    assert "pa55word" not in journal


def test_neither_is_the_hash_of_a_secret_shown_where_the_host_is_not_as_probed(host: Host) -> None:
    with require.declare() as catalog:
        require.file.file(host.path("pin"), content=Secret("4711"), owner=None)
    meddling = Meddling(lambda: (host.root / "pin").write_text("0815"))
    result = host.converge(catalog, transport=meddling)
    assert "It was kind file, mode" in result.errors[0]
    journal = (host.state / "runs" / result.run / "journal.jsonl").read_text()
    assert hashlib.sha256(b"0815").hexdigest() not in f"{result!r} {journal}"


def test_a_run_that_was_killed_after_it_had_spoken_says_how_it_ended(host: Host) -> None:
    with require.declare() as catalog:
        require.file.file(host.path("first"), content="", owner=None)
        require.command.command("kill", "kill -9 $PPID", creates=host.path("none"))
    result = host.converge(catalog)
    assert "it ended with exit code -9" in result.errors[0]
    assert not host.converge(catalog, check=True).errors


def test_a_run_that_could_not_begin_says_why(host: Host) -> None:
    died = MAGIC + frame(b"R", {"died": "it ended with exit code 1: systemd-run: no bus"})
    look = {
        "answers": [{"state": {"kind": "absent"}}],
        "pending": [],
        "last_run": None,
        "lock": None,
    }
    with host.files(1) as catalog:
        pass
    result = host.converge(catalog, transport=FakeTransport([MAGIC + frame(b"R", look), died]))
    assert "systemd-run: no bus" in result.errors[0]
    failed = FakeTransport(
        [MAGIC + frame(b"R", look), CommandFailed("x", 1, "sudo: a password is")]
    )
    assert "sudo: a password is" in host.converge(catalog, transport=failed).errors[0]
