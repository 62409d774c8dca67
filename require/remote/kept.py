"""What a run replaces, kept in its folder so that `undo` can put it back.

Before the noun `file` changes anything at a path, the run's journal has a line
{"event": "kept", "key", "path", "was", "made", "copy", "secret", "notify"}: what was there and what
will be, as `file.probe` tells it, and the name of the former content beside the journal. The content
comes first, then the line, then the change, each on the disk before the next, so that after a power
cut a line may speak of a change that was never made, but no change is without its line.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from require.remote import journal, private

MOST_OF_RUN = 64 * 1024 * 1024
MOST = 256 * 1024 * 1024
SHARE = 4  # of the room that there would be without them, one part
_PIECE = 1 << 20

State = dict[str, Any]


class Keeper:
    """Keeps what the steps of one run replace.

    Args:
        runs: our private folder.
        run: id of the run; its folder is there.
        notes: the run's journal.
    """

    def __init__(self, runs: str, run: str, notes: journal.Journal) -> None:
        self._folder, self._notes = f"{runs}/{run}", notes
        self._key = ""
        self._notify: Sequence[dict[str, Any]] = ()
        self._count = self._bytes = 0
        self._most = _make_room(runs, run)

    @contextlib.contextmanager
    def step(self, key: str, notify: Sequence[dict[str, Any]]) -> Iterator[None]:
        """Keep what is replaced inside the block.

        Args:
            key: of the step's resource.
            notify: the handlers that it notifies; undoing it does so too.
        """
        global _keeper
        self._key, self._notify = key, notify
        _keeper = self
        try:
            yield
        finally:
            _keeper = None

    def keep(self, place: int, name: str, path: str, was: State, made: State, secret: bool) -> None:
        """See the function of this name."""
        copy = ""
        replaced = was["kind"] == "file" and was["sha"] != made.get("sha")
        if replaced and self._bytes + was["size"] <= self._most:
            self._count += 1
            copy = f"kept-{self._count}"
        to = f"{self._folder}/{copy}"
        try:
            if copy:
                _link(place, name, to)
                private.sync(self._folder)
            self._notes.write(
                "kept",
                key=self._key,
                path=path,
                was=was,
                made=made,
                copy=copy,
                secret=secret,
                notify=list(self._notify),
            )
        except OSError:
            # It stays what it is, and must not stay with two names (see `keep`).
            if copy and os.path.exists(to):
                os.unlink(to)
            raise
        self._bytes += was["size"] if copy else 0


_keeper: Keeper | None = None


def keep(place: int, name: str, path: str, was: State, made: State, secret: bool) -> None:
    """Keep what is at a path that is about to be changed; outside of a step nothing is kept.

    A file whose content stays is not linked: some programs (cron) read no file with two names.

    Args:
        place: the open directory that it is in.
        name: its name there.
        path: the absolute path.
        was: what is there now.
        made: what will be there.
        secret: whether its content may be shown to nobody.

    Raises:
        OSError: it could not be kept, and so must not be changed.
    """
    if _keeper is not None and was != made:
        _keeper.keep(place, name, path, was, made, secret)


def _link(place: int, name: str, to: str) -> None:
    """Give a file a second name, or copy it where the file system does not allow that."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(name, flags, dir_fd=place), "rb") as file:
        # Whoever wrote it a moment ago need not have brought it to the disk.
        os.fsync(file.fileno())
        try:
            os.link(name, to, src_dir_fd=place, follow_symlinks=False)
            return
        except OSError:
            new = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(new, "wb") as copy:
            while piece := file.read(_PIECE):
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())


def _make_room(runs: str, run: str) -> int:
    """Remove what the oldest runs kept beyond the bounds, and return how many bytes this one may keep.

    A disk that is nearly full is for what a host is there for, and a run that keeps nothing is better
    than none.
    """
    kept = [
        (each.stat().st_size, each.path)
        for other in reversed(journal.by_age(runs))
        for each in os.scandir(f"{runs}/{other}")
        if other != run and each.name.startswith("kept-")
    ]
    disk = os.statvfs(runs)
    without = disk.f_bavail * disk.f_frsize + sum(size for size, _ in kept)
    most = min(MOST, without // SHARE)
    of_run = min(MOST_OF_RUN, most)
    left = most - of_run
    for size, path in kept:
        left -= size
        if left < 0:
            os.unlink(path)
    return of_run
