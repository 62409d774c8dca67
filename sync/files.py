"""Where change-sets lie, and the few file operations that must survive a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from common.settings import Settings
from sync.changeset import file_name, sequence, snapshot_name, snapshot_sequence

__all__ = [
    "EPOCH8",
    "HANGAR",
    "change_sets",
    "epoch8",
    "epoch_folders",
    "former",
    "fsync",
    "histories",
    "inbox",
    "make_folder",
    "move",
    "open_anew",
    "outbox",
    "sealed_path",
    "sha256_of",
    "snapshot_path",
    "snapshots",
    "tmp",
    "write_beside",
    "write_durably",
]

# What an aircraft calls its only peer, in folders and in the ledger.
HANGAR = "hangar"

EPOCH8 = "[0-9a-f]{8}"
"""What the name of an epoch's folder is, as a pattern."""


def outbox(settings: Settings) -> Path:
    """Return where sealed change-sets lie; the hangar's are sealed once for the whole fleet."""
    base = settings.sync_dir / "outbox"
    return base / "all" if settings.role == "hangar" else base


def inbox(settings: Settings, peer: str) -> Path:
    """Return where the peer's change-sets arrive; aboard, that is a part of what is pulled."""
    base = settings.sync_dir / "inbox" / peer
    return base if settings.role == "hangar" else base / "down"


def former(settings: Settings) -> Path:
    """Return where change-sets wait that were sealed before the database was restored; aboard."""
    return settings.sync_dir / "former"


def tmp(settings: Settings) -> Path:
    """Return where change-sets are written before they are named; the outbox's file system."""
    return settings.sync_dir / "tmp"


def epoch8(epoch: UUID) -> str:
    """Return the folder of an epoch: its first eight digits."""
    return epoch.hex[:8]


def sealed_path(settings: Settings, stream: str, epoch: UUID, seq: int) -> Path:
    """Return where a change-set that was sealed here lies.

    >>> sealed_path(settings, "use", epoch, 7)  # doctest: +SKIP
    PosixPath('/var/lib/turnaround/sync/outbox/use/1f0a93c2/000000000007.cs')
    """
    return outbox(settings) / stream / epoch8(epoch) / file_name(seq)


def snapshot_path(settings: Settings, stream: str, epoch: UUID, seq: int) -> Path:
    """Return where a snapshot that was sealed here lies."""
    return sealed_path(settings, stream, epoch, 1).with_name(snapshot_name(seq))


def change_sets(folder: Path) -> Iterator[tuple[int, Path]]:
    """Give the change-sets in a folder by number; other names are rsync's own, or nobody's.

    The other end chose what lies in an inbox: only plain files count, no link and no pipe.
    """
    return _numbered(folder, sequence)


def snapshots(folder: Path) -> Iterator[tuple[int, Path]]:
    """Give the snapshots in a folder by number, in the same way."""
    return _numbered(folder, snapshot_sequence)


def _numbered(folder: Path, number: Callable[[str], int | None]) -> Iterator[tuple[int, Path]]:
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in found if entry.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return
    for name in names:
        seq = number(name)
        if seq is not None:
            yield seq, folder / name


def epoch_folders(stream: Path) -> list[Path]:
    """Return the folders of a stream's epochs; a link, which only a stranger makes, is none."""
    if stream.is_symlink() or not stream.is_dir():
        return []
    return sorted(path for path in stream.iterdir() if path.is_dir() and not path.is_symlink())


def histories(box: Path) -> list[Path]:
    """Return the folders of all streams' epochs in an outbox or inbox; there may be no such box."""
    streams = sorted(box.iterdir()) if box.is_dir() else []
    return [folder for stream in streams for folder in epoch_folders(stream)]


def fsync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, and wait until the name of each new one is on the disk."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    fsync(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file that is on the disk already, and wait until its new name is on the disk too."""
    make_folder(target.parent)
    os.replace(source, target)
    fsync(target.parent)


def open_anew(path: Path) -> BinaryIO:
    """Open a new file for writing, under a name that is always the same until it is renamed.

    What a power cut left under that name may be read-only already: it goes, and is not written into.
    """
    path.unlink(missing_ok=True)
    return path.open("xb")


def write_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file's content in one step: after a power cut it is the old or the new one."""
    move(write_beside(path, data, mode), path)


def write_beside(path: Path, data: bytes, mode: int = 0o644) -> Path:
    """Write what is to become a file, down to the disk, and return where it waits to be moved there."""
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.new")
    with open_anew(beside) as out:
        out.write(data)
        out.flush()
        os.fchmod(out.fileno(), mode)
        os.fsync(out.fileno())
    return beside


def sha256_of(path: Path) -> str | None:
    """Return a file's SHA-256, or None when it is not there."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
