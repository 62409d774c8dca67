"""Runs a command that ends with whoever started it, killed or not: `python tied.py COMMAND…`.

setpriv(1) would do it too, but asks for more than the sandbox of our units grants. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, command: list[str]) -> int:
    """Become the command; 1 when `parent`, who started this, is there no more."""
    # It is kept over exec, and would not be where that gives more rights.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == parent:
        os.execvp(command[0], command)  # noqa: S606  # no shell is wanted
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
