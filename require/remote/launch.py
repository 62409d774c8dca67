"""The second trip, its near end: starts the run apart from the link, and passes on what it says.

The run is a transient unit of systemd, outside the login session; where systemd does not run, or
we may not ask it, a process in a session of its own. Its program and request reach it through a
pipe and are checked there against their hash, so when we die in the middle it does nothing. When we
die later, it goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from require.remote import wire


def main(request: dict[str, Any], out: Any, bootstrap: str, payload: bytes) -> None:
    """Start the run and wait for it as long as the link holds.

    Args:
        request: "run" is the run's id.
        out: binary file for the frames.
        bootstrap: text of the program that reads the payload.
        payload: what came on standard input, header included.
    """
    command = [sys.executable, "-IS", "-c", bootstrap, "worker"]
    if os.geteuid() == 0 and os.path.isdir("/run/systemd/system"):
        unit = f"turnaround-run-{request['run']}"
        command = [
            "systemd-run",
            "--quiet",
            "--collect",
            "--pipe",
            f"--unit={unit}",
            f"--description=Turnaround run {request['run']}",
            *command,
        ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        process.stdin.write(payload)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended before it had read all: the exit code and its words tell
    begun = False
    try:
        while piece := os.read(process.stdout.fileno(), 65536):
            out.write(piece)
            out.flush()
            begun = True
    except BrokenPipeError:
        os._exit(0)  # the link is gone; the run is not ours to stop
    words = process.stderr.read().decode(errors="replace").strip()
    code = process.wait()
    if code != 0:
        died = f"it ended with exit code {code}: {words[-2000:] or 'it said nothing'}"
        out.write((b"" if begun else wire.MAGIC) + wire.frame(b"R", {"died": died}))
        out.flush()
