"""Stands for ssh in tests: `fake_ssh.py STATE AIRCRAFT [STALL] HOST COMMAND…` runs the hangar's gate.

With STALL above 0 it lets that many bytes come from the hangar and then nothing more, as a link
does that is cut without a word.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    state, aircraft, stall, *words = sys.argv[1:]
    if "-O" in words or "-N" in words:
        return 0
    host = next(index for index, word in enumerate(words) if word == "hangar")
    environment = os.environ | {
        "SSH_ORIGINAL_COMMAND": shlex.join(words[host + 1 :]),
        "TURNAROUND_STATE_DIR": state,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    gate = [sys.executable, "-S", "-m", "sync.gate", aircraft]
    if int(stall) == 0:
        # In this very process: a test makes dozens of connections.
        sys.path.insert(0, environment["PYTHONPATH"])
        from sync.gate import main as gate_main

        os.environ |= environment
        return gate_main([aircraft], os.environ)
    child = subprocess.Popen(gate, stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    # rsync gives its shell sockets that do not block.
    os.set_blocking(1, True)
    left = int(stall)
    while left > 0:
        data = os.read(child.stdout.fileno(), min(left, 65536))
        if not data:
            return child.wait()
        left -= len(data)
        while data:
            data = data[os.write(1, data) :]
    child.kill()
    # Until whoever waits for the rest is killed too, or this is.
    while os.getppid() != 1:
        time.sleep(0.05)
    return 1


if __name__ == "__main__":
    sys.exit(main())
