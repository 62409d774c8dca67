"""Calls an aircraft that is behind and lets it synchronise: one SSH call over the tower.

The aircraft's account `dispatch` answers this key with one forced command, so all that the hangar
can ask for is `sync-now`. The aircraft tells its progress as JSON lines on standard output,
{"progress": …}; the last line is its result, {"result": …}, with {"error": …} when it failed.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

SSH_FAILED = 255  # what ssh itself exits with, whatever the command aboard would have said
LINE_LIMIT = 65_536
CONNECT_SECONDS = 15
CALL_SECONDS = 3600.0


class DispatchFailed(Exception):
    """The aircraft was not synchronised; the message says why, `last` what it said last."""

    def __init__(self, message: str, last: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.last = last or {}


@dataclass(frozen=True)
class Ended:
    """How a call ended: exit code (None when it was cut at the deadline) and its last words."""

    code: int | None
    stderr: str


class Caller(Protocol):
    """Runs a command, hands each line of its output over, and says how it ended."""

    def __call__(
        self, command: list[str], deadline_s: float, line: Callable[[str], None]
    ) -> Ended: ...


@dataclass(frozen=True)
class Route:
    """How an aircraft is reached: its address on the tower, our key, and the host keys we know."""

    aircraft: str
    tower: str
    key: Path
    known_hosts: Path
    port: int = 22
    user: str = "dispatch"

    def command(self) -> list[str]:
        """The call of ssh.

        Example:
            >>> Route("EC-TAA", "10.100.64.11", Path("/k"), Path("/h")).command()[-2:]
            ['dispatch@10.100.64.11', 'sync-now']
        """
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(CONNECT_SECONDS),
            "IdentitiesOnly": "yes",
            # A link that drops is noticed after 30 s, not after TCP's quarter of an hour.
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "none",
        }
        command = ["ssh", "-T", "-F", "none", "-i", str(self.key), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return [*command, f"{self.user}@{self.tower}", "sync-now"]


def dispatch(
    route: Route,
    progress: Callable[[dict[str, Any]], None],
    call: Caller | None = None,
    deadline_s: float = CALL_SECONDS,
) -> dict[str, Any]:
    """Lets the aircraft synchronise now and returns its last line.

    Args:
        route: which aircraft, and how it is reached.
        progress: gets each JSON line that the aircraft says.
        call: runs the command; the ssh program where it is not given.
        deadline_s: after so many seconds the call is cut.

    Raises:
        DispatchFailed: when it was not reached, refused, failed, or took too long.

    Example:
        dispatch(route, print)
        # {'result': {'applied_rows': 12, …}}
    """
    last: dict[str, Any] = {}

    def line(said: str) -> None:
        try:
            told = json.loads(said)
        except ValueError:
            return
        if isinstance(told, dict):
            last.clear()
            last.update(told)
            progress(told)

    ended = (call or call_program)(route.command(), deadline_s, line)
    if ended.code == 0:
        return last
    raise DispatchFailed(_reason(route, ended, last, deadline_s), last)


def _reason(route: Route, ended: Ended, last: dict[str, Any], deadline_s: float) -> str:
    name = f"{route.aircraft} at {route.tower}"
    words = ended.stderr.strip().splitlines()
    if ended.code is None:
        return f"{name} was still synchronising after {deadline_s:.0f} s; the call was cut."
    if ended.code == SSH_FAILED:
        if "Host key verification failed" in ended.stderr:
            return (
                f"{name} shows another host key than the one it enrolled with, or none is known in "
                f"{route.known_hosts}. Nothing was sent. Converge the hangar, or enrol it again."
            )
        return f"{name} cannot be reached over SSH: {words[-1] if words else 'no answer'}"
    said = last.get("error") or last.get("reason") or last.get("message")
    if isinstance(said, dict):
        said = said.get("message")
    return f"{name} could not synchronise (exit {ended.code}): " + str(
        said or (words[-1] if words else "it gave no reason")
    )


def call_program(command: list[str], deadline_s: float, line: Callable[[str], None]) -> Ended:
    """Runs a program and hands each line of its output over as it comes; cut at the deadline."""
    until = time.monotonic() + deadline_s
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        try:
            finished, errors = _outputs(program, until, line)
            code = program.wait(max(0.1, until - time.monotonic())) if finished else None
        except subprocess.TimeoutExpired:
            code = None
        finally:
            program.kill()
    return Ended(code, errors.decode(errors="replace"))


def _outputs(
    program: subprocess.Popen[bytes], until: float, line: Callable[[str], None]
) -> tuple[bool, bytes]:
    """Reads both outputs to their end; returns whether that came before the deadline, and the last errors.

    What comes is the other end's choice: never more is held than a line, and the end of the errors.
    """
    waiting = errors = b""
    with selectors.DefaultSelector() as ways:
        for way in (program.stdout, program.stderr):
            ways.register(way, selectors.EVENT_READ)  # type: ignore[arg-type]
        while ways.get_map():
            left = until - time.monotonic()
            ready = ways.select(left) if left > 0 else []
            if not ready:
                return False, errors
            for key, _ in ready:
                chunk = os.read(key.fd, LINE_LIMIT)
                if not chunk:
                    ways.unregister(key.fileobj)
                if key.fileobj is program.stderr:
                    errors = (errors + chunk)[-LINE_LIMIT:]
                    continue
                *whole, waiting = (waiting + chunk).split(b"\n")
                for said in whole:
                    line(said.decode(errors="replace"))
                if len(waiting) > LINE_LIMIT:
                    waiting = b""  # not a line of ours: never hold more than one
    return True, errors
