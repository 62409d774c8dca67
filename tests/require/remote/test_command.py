"""Programs of the host: how they are started, guarded and stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from require.remote import command, shell
from require.remote.shell import Failed, Refused


def test_a_program_that_fails_tells_its_last_words() -> None:
    with pytest.raises(Failed, match=r"/bin/sh -c .* ended with exit code 3: no space left"):
        shell.run(["/bin/sh", "-c", "echo no space left >&2; exit 3"]).check()


def test_a_program_that_hangs_is_stopped_with_all_it_started() -> None:
    with pytest.raises(Failed, match=r"was stopped after 0\.1 s"):
        shell.run(["/bin/sh", "-c", "sleep 60 & wait"], timeout_s=0.1)


def test_a_program_does_not_see_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNAROUND_SECRET", "s3cret")
    out = shell.run(["env"], env={"MORE": "1"}).out
    assert "s3cret" not in out
    assert "MORE=1" in out
    assert "LC_ALL=C.UTF-8" in out


def test_guards(tmp_path: Path) -> None:
    spec = {"user": "", "cwd": "/"}
    assert command.probe(spec | {"creates": str(tmp_path)}) == {"done": True}
    assert command.probe(spec | {"creates": str(tmp_path / "none")}) == {"done": False}
    assert command.probe(spec | {"unless": ["true"]}) == {"done": True}
    assert command.probe(spec | {"unless": ["false"]}) == {"done": False}
    assert command.probe(spec | {"unless": ["no-such-program"]}) == {"done": False}
    assert command.probe({"user": "no-such-user", "cwd": "/", "unless": ["true"]}) == {
        "done": False
    }


def test_a_command_reads_its_input_and_is_refused_when_it_cannot_begin(tmp_path: Path) -> None:
    spec = {"user": "", "cwd": str(tmp_path), "stdin": "s3cret", "timeout_s": 10}
    command.apply(spec | {"argv": ["/bin/sh", "-c", "cat > out"]}, {"done": False})
    assert (tmp_path / "out").read_text() == "s3cret"
    with pytest.raises(Refused, match="there is no no-such-program"):
        command.apply(spec | {"argv": ["no-such-program"]}, {"done": False})
    with pytest.raises(Refused, match="there is no user no-such-user"):
        command.apply(spec | {"argv": ["true"], "user": "no-such-user"}, {"done": False})
