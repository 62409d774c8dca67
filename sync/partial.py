"""What rsync was writing when it was cut: taken up by the next run, or removed when all is here.

On a signal rsync keeps what came in its partial folder; when the power goes it leaves a file with a name
of its own making, `.NAME.AbC123`, which no later run looks at. Such a file is given the name that the
next run does look at. Standard library only: the gate uses it too.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FOLDER", "adopt", "sweep"]

FOLDER = ".part"
"""rsync's partial folder, in each folder that it writes to."""

_ORPHAN = re.compile(r"\.(.+)\.[A-Za-z0-9]{6}")


def adopt(base: Path) -> None:
    """Put what a power cut left where rsync goes on from; of two for one file the larger.

    No rsync may write below `base`.

    >>> adopt(Path("/var/lib/turnaround/sync/inbox/hangar"))  # doctest: +SKIP
    """
    for path, name in list(_orphans(base)):
        kept = path.parent / FOLDER / name
        if not path.stat().st_size or (
            kept.exists() and kept.stat().st_size >= path.stat().st_size
        ):
            path.unlink()
        else:
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            path.replace(kept)


def sweep(base: Path) -> None:
    """Remove all that runs which were cut left behind; no rsync may write below `base`."""
    for path, _ in list(_orphans(base)):
        path.unlink()
    for folder, below, _ in os.walk(base):
        if FOLDER in below:
            below.remove(FOLDER)
            shutil.rmtree(Path(folder, FOLDER))


def _orphans(base: Path) -> Iterator[tuple[Path, str]]:
    """Give each with the name of the file that it was to become."""
    for folder, below, names in os.walk(base):
        below[:] = [name for name in below if name != FOLDER]
        for name in names:
            if match := _ORPHAN.fullmatch(name):
                yield Path(folder, name), match[1]
