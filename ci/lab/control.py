"""How the lab's commands speak to its daemon: one JSON line each way over a socket in the lab's folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ci.lab.errors import LabFault

SOCKET = "control.sock"
MAX_LINE = 1 << 20
TIMEOUT_S = 10.0


@contextlib.contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """Gives a path to the socket that fits: a socket's path ends at 108 bytes, a checkout's may not."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def call(directory: Path, request: dict[str, Any], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Sends one request to the daemon of the lab in this folder and returns its reply.

    Raises:
        LabFault: the daemon refused, with its sentence, or it does not answer.
    """
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        line.settimeout(timeout_s)
        try:
            line.connect(stack.enter_context(short_path(directory)))
            line.sendall(json.dumps(request).encode() + b"\n")
            answer = stack.enter_context(line.makefile("rb")).readline(MAX_LINE)
        except OSError as error:
            raise LabFault(
                f"the lab's daemon does not answer in {directory} ({error.strerror or error})",
                "./inv lab.up starts it again",
            ) from None
    if not answer.endswith(b"\n"):
        raise LabFault(
            f"the lab's daemon went away; its log is {directory}/daemon.log",
            "./inv lab.up starts it again",
        )
    reply: dict[str, Any] = json.loads(answer)
    if "error" in reply:
        raise LabFault(reply["error"], reply.get("remedy", ""))
    return reply


def alive(directory: Path) -> bool:
    """Says whether the daemon of the lab in this folder answers."""
    try:
        call(directory, {"do": "ping"}, timeout_s=2)
    except LabFault:
        return False
    return True
