"""Directories on the host that only root may look into, and files in them that survive a cut."""

from __future__ import annotations

import os
import stat

from require.remote.shell import Refused


def folder(path: str) -> str:
    """Make a directory that only we may enter, and return its path.

    Its parent may belong to someone else, so a link, or a directory that is not ours, in its
    place is refused: whoever put it there would see and steer what root does.

    Raises:
        Refused: something else is there.
    """
    _make(os.path.dirname(path), 0o755)
    _make(path, 0o700)
    seen = os.lstat(path)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise Refused(f"{path} is not a directory of ours: look at it, then move it away")
    if seen.st_mode & 0o077:
        os.chmod(path, 0o700)
    return path


def _make(path: str, mode: int) -> None:
    """Make a directory, and what is missing above it, where it is not there yet."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make(os.path.dirname(path), 0o755)
        os.mkdir(path, mode)
    # Also of one that was there: who made it may have been killed before it was on the disk, and
    # what lies in a directory is no safer than the way to it.
    sync(os.path.dirname(path))


def write(path: str, data: bytes) -> None:
    """Write a small file so that after a cut it is there whole or not at all."""
    beside = f"{path}~"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            put(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    sync(os.path.dirname(path))


def put(handle: int, data: bytes) -> None:
    """Write all of it: a disk that becomes full takes a part first, and says nothing."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def sync(directory: str) -> None:
    """Bring a directory's entries to the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
