"""One run at a time on a host.

The kernel's lock on a file is the truth: it is gone as soon as its holder is, however that died, so
no lock is ever stale. The file's text says who holds it, since when and until when; the holder sets
itself an alarm for its expiry, so that it cannot outlive what it promised.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from typing import Any

Holder = dict[str, Any]

_TRIES = 10
_LOOK_S = 0.02


class Held(Exception):
    """Someone else has it: `holder` has "owner", "run", "at" and "expires"."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder))
        self.holder = holder


def take(runs: str, holder: Holder, seconds: int) -> int:
    """Take the lock until this process ends.

    Args:
        runs: our private folder.
        holder: what others are told.
        seconds: after these the kernel ends us.

    Returns:
        The open file; closing it gives the lock back.

    Raises:
        Held: by whom.
    """
    handle = os.open(f"{runs}/lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    tries = _TRIES
    while not _locked(handle, fcntl.LOCK_EX):
        tries -= 1
        # Where a share is to be had, others only look, and are done in a moment.
        if not tries or not _locked(handle, fcntl.LOCK_SH):
            found = _read(handle)
            os.close(handle)
            raise Held(found)
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(_LOOK_S)
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode(), 0)
    signal.alarm(seconds)
    return handle


def holder(runs: str) -> Holder | None:
    """Tell who has the lock, None when nobody has."""
    try:
        handle = os.open(f"{runs}/lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle)
    finally:
        os.close(handle)
    return None


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(handle: int) -> Holder:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}
