"""On the host under test this stands in for `aboard`: the very program, which waits where a row wants it to.

A file names the step before which it waits, until the file is gone. So a fault can come exactly there,
however short the step is. It runs on the host: the standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

HOLD = Path("/srv/faults/hold")
PLACE = "/srv/faults/aboard.py"


def at(step: object) -> None:
    """Waits before the step that the file names."""
    label = step.label  # type: ignore[attr-defined]
    while _held() == label:
        time.sleep(0.005)


def _held() -> str:
    """The step that is named now; one look, for the file may be removed between two."""
    try:
        return HOLD.read_text().strip()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.path.insert(0, "/opt/turnaround")
    from aboard.program import main  # type: ignore[import-not-found]
    from aboard.world import World  # type: ignore[import-not-found]

    # As its own beginning has it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o022)
    sys.exit(main(world=World(at=at)))
