"""Writing so that a power cut leaves the old or the new: another name, fsync, rename, fsync."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from stat import S_ISLNK


def write(path: Path, pieces: Iterable[bytes], mode: int = 0o644) -> None:
    """Write a file under its own name only once all of it is on the disk.

    Args:
        path: the file; its folder exists.
        pieces: its bytes; an error raised while taking them leaves nothing behind.
        mode: its permissions.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # Nobody else's until it is whole: it may be a key.
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for piece in pieces:
                file.write(piece)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Make a folder and those above it, durably; one that is there stays as it is."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def point(link: Path, target: Path) -> None:
    """Make a symlink name a target, in one step for whoever looks: the old target or the new one.

    Args:
        link: for instance /opt/turnaround/current/onboard.
        target: what it shall name; written relative to the link, so that the tree can be looked at
            from outside.
    """
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.rename(link)
    sync_folder(link.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder so that its name never stands for half of it."""
    leaving = folder.with_name(f"{folder.name}.old")
    if folder.exists():
        shutil.rmtree(leaving, ignore_errors=True)
        folder.rename(leaving)
        # Or the name could come back after a cut, and with it what was not removed yet.
        sync_folder(folder.parent)
    shutil.rmtree(leaving, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder; links, and what is removed meanwhile, count as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # Whoever asks holds no lock: an order may be at work.
            with suppress(FileNotFoundError):
                status = os.lstat(os.path.join(parent, name))
                total += 0 if S_ISLNK(status.st_mode) else status.st_size
    return total
