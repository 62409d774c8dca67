"""Programs of the host: how they are started, guarded and stopped."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

from require.remote import command, shell
from require.remote.shell import Failed, Refused


def test_a_program_that_fails_tells_its_last_words() -> None:
    with pytest.raises(Failed, match=r"/bin/sh -c .* ended with exit code 3: no space left"):
        shell.run(["/bin/sh", "-c", "echo no space left >&2; exit 3"]).check()


def test_a_program_that_hangs_is_stopped_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    communicate = subprocess.Popen.communicate

    def impatient(self: Any, *given: Any, timeout: float | None = None) -> Any:
        """The time is over as soon as the program is known to hang."""
        if timeout is None:
            return communicate(self, *given)
        assert select.select([held], [], [], 10)[0]
        raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(subprocess.Popen, "communicate", impatient)
    hanging = f"exec 9> '{tmp_path}/held' >&- 2>&-; sleep 60 & echo up >&9; wait"
    with pytest.raises(Failed, match=r"was stopped after 0\.1 s"):
        shell.run(["/bin/sh", "-c", hanging], timeout_s=0.1)
    assert os.read(held, 3) == b"up\n"
    assert select.select([held], [], [], 5)[0], "somebody who was started still has it open"
    assert os.read(held, 1) == b""
    os.close(held)


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
