"""Stands for ssh between two ends on this machine: `wire.py STATE AIRCRAFT CUT HOST COMMAND…`.

It runs the hangar's gate. Where the file CUT is, it holds how many bytes still pass, counted both ways;
then both ends are gone, and nothing passes any more until the file is removed.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

LOST = 255
TOP = str(Path(__file__).resolve().parents[3])


def main() -> int:
    state, aircraft, cut, *words = sys.argv[1:]
    if "-O" in words:
        return 0
    asked = shlex.join(words[words.index("hangar") + 1 :])
    os.environ |= {"SSH_ORIGINAL_COMMAND": asked, "TURNAROUND_STATE_DIR": state, "PYTHONPATH": TOP}
    try:
        left = int(Path(cut).read_text())
    except FileNotFoundError:
        sys.path.insert(0, TOP)
        from sync.gate import main as gate

        return gate([aircraft], os.environ)
    if not left:
        sys.stderr.write("ssh: connect to host hangar: Network is unreachable\n")
        return LOST
    return _until_cut(aircraft, left, Path(cut))


def _until_cut(aircraft: str, left: int, cut: Path) -> int:
    gate = [sys.executable, "-S", "-m", "sync.gate", aircraft]
    pipe = subprocess.PIPE
    far = subprocess.Popen(gate, stdin=pipe, stdout=pipe, start_new_session=True)
    assert far.stdin and far.stdout
    room = [left]
    lock = threading.Lock()

    def carry(source: int, sink: int) -> None:
        # rsync gives its shell sockets that do not block.
        os.set_blocking(source, True)
        os.set_blocking(sink, True)
        try:
            while data := os.read(source, 65536):
                with lock:
                    data = data[: room[0]]
                    room[0] -= len(data)
                    over = not room[0]
                while data:
                    data = data[os.write(sink, data) :]
                if over:
                    cut.write_text("0")
                    os.killpg(far.pid, signal.SIGKILL)
                    os._exit(LOST)
            os.close(sink)
        except OSError:
            return

    threading.Thread(target=carry, args=(0, far.stdin.fileno()), daemon=True).start()
    back = threading.Thread(target=carry, args=(far.stdout.fileno(), 1))
    back.start()
    back.join()
    return far.wait()


if __name__ == "__main__":
    sys.exit(main())
