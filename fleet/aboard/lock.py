"""One at a time: what changes releases on a host holds this lock, and says who it is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from . import disk
from .errors import Busy
from .world import World

PATIENCE_S = 10.0
"""How long an order waits: `recover` looks each minute and is done in less, a deploy is not."""

_LOOK_AGAIN_S = 0.2
_NOTE = 400


@contextmanager
def held(world: World, doing: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the host's release lock; the kernel lets go of it when the holder ends, however it ends.

    Args:
        doing: what for, shown to whoever finds it held.
        patience_s: how many seconds to wait for another holder.

    Raises:
        Busy: somebody else still holds it.
    """
    disk.make_folder(world.state_folder, 0o755)
    descriptor = os.open(world.state_folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        patient_until = world.since_boot() + patience_s
        while not _taken(descriptor):
            if world.since_boot() >= patient_until:
                holder = os.pread(descriptor, _NOTE, 0).decode(errors="replace").strip()
                raise Busy(
                    f"{holder or 'somebody'} is at work on this host's releases; wait and run again"
                )
            world.sleep(_LOOK_AGAIN_S)
        owner = os.environ.get("SUDO_USER") or "root"
        note = f"{owner} ({doing}, pid {os.getpid()}, {world.stamp()})".encode()
        # As long each time: so it needs no more room, and can be held on a disk that has none left.
        os.pwrite(descriptor, note[:_NOTE].ljust(_NOTE), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
