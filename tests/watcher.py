"""Watches a folder that plays a disk, and writes down what is done to it, however it is done.

Python tells of most operations before it does them (`sys.addaudithook`); each time the folder is looked at,
so that what the operation before has done becomes known. A rename is known by its inode, what was written
by the content. Only a sync leaves no trace in a folder: `os.fsync` is replaced meanwhile.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from tests.disk import ROOT, Image, Node, Op

_EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link"}
_FRESH_S = 0.1  # a clock of a file system ticks more slowly than files are written
_active: list[Watcher] = []


class Killed(BaseException):
    """The process was killed: nothing it would do afterwards is done."""


class Watcher:
    """Writes down what is done to the files below a folder while `watching`.

    Args:
        root: the folder; everything in it counts as synced.
        lost: tells by its place in the code, such as "disk.write", whether a sync is left out.
        kill_at: after so many operations nothing is done any more; below 0 never.

    `first_lost` says how many operations were done when the first sync was left out.
    """

    def __init__(
        self,
        root: Path,
        lost: Callable[[str], bool] = lambda place: False,
        kill_at: int = -1,
    ) -> None:
        self.root, self.lost, self.kill_at = root, lost, kill_at
        self.ops: list[Op] = []
        self.places: set[str] = set()
        self.first_lost: int | None = None
        self._nodes: dict[int, int] = {}
        self._known: dict[int, Node] = {}
        self._stamps: dict[int, tuple[int, ...]] = {}
        self._made = 0
        self._thread = threading.get_ident()
        self._looking = False
        self._look()
        self.image: Image = dict(self._known)
        self.ops.clear()

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Watches this thread until the end of the block, or until it is killed."""
        _hook_in()
        _active.append(self)
        try:
            with patch.object(os, "fsync", self._fsync):
                yield self
            self._look()
        finally:
            _active.remove(self)

    def note(self, note: object) -> None:
        """Writes down that something happened which is not on the disk."""
        self._look()
        self.ops.append(Op("note", ROOT, note=note))

    def sync(self, place: str, folder: Path) -> None:
        """Writes down that a folder was synced with all that is below it, at this place in the code."""
        self.before()
        self.places.add(place)
        if self._is_kept(place):
            below = [folder, *folder.rglob("*")]
            nodes = dict.fromkeys(self._nodes[path.lstat().st_ino] for path in below)
            self.ops += [Op("sync", node) for node in nodes]

    def before(self) -> None:
        """Looks at what was done; ends the process where it is to be killed."""
        if self._looking or threading.get_ident() != self._thread:
            return
        self._look()
        if 0 <= self.kill_at <= len(self.ops):
            raise Killed

    def _fsync(self, handle: int) -> None:
        self.before()
        node = self._nodes.get(os.fstat(handle).st_ino)
        if node is None:
            return
        place = _place()
        self.places.add(place)
        if self._is_kept(place):
            self.ops.append(Op("sync", node))

    def _is_kept(self, place: str) -> bool:
        lost = self.lost(place)
        if lost and self.first_lost is None:
            self.first_lost = len(self.ops)
        return not lost

    def _look(self) -> None:
        self._looking = True
        try:
            seen = {self._at(self.root, os.stat(self.root))}
            self._folder(self.root, seen)
            for ino, node in list(self._nodes.items()):
                if node not in seen:
                    del self._nodes[ino], self._known[node], self._stamps[node]
        finally:
            self._looking = False

    def _at(self, path: Path, status: os.stat_result) -> int:
        """The node at a path; what is new or other than before is written down."""
        node = self._nodes.get(status.st_ino)
        stamp = (status.st_mtime_ns, status.st_size, status.st_mode)
        if node is None:
            node = self._nodes[status.st_ino] = self._made
            self._made += 1
        elif self._stamps[node] == stamp and time.time_ns() - stamp[0] > _FRESH_S * 1e9:
            return node
        self._stamps[node] = stamp
        known = self._known.get(node)
        now = _node(path, status, known)
        if now != known:
            self._known[node] = now
            self.ops.append(Op("content", node, state=now))
        return node

    def _folder(self, path: Path, seen: set[int]) -> None:
        """Compares a folder with what was known of it, and goes into it."""
        node = self._nodes[os.stat(path).st_ino]
        former = dict(self._known[node].entries)
        present: dict[str, int] = {}
        with os.scandir(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            present[entry.name] = self._at(path / entry.name, entry.stat(follow_symlinks=False))
        gone = {name: each for name, each in former.items() if name not in present}
        for name, each in present.items():
            if former.get(name) != each:
                source = next((old for old, one in gone.items() if one == each), None)
                away = [] if source is None else [(source, None)]
                if source is not None:
                    del gone[source]
                self.ops.append(Op("entries", node, names=(*away, (name, each))))
        for name in gone:
            self.ops.append(Op("entries", node, names=((name, None),)))
        if former != present:
            entries_now = tuple(sorted(present.items()))
            self._known[node] = replace(self._known[node], entries=entries_now)
        seen.update(present.values())
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                self._folder(path / entry.name, seen)


def _node(path: Path, status: os.stat_result, known: Node | None) -> Node:
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return Node("l", os.readlink(path).encode())
    if stat.S_ISDIR(status.st_mode):
        return Node("d", mode=mode, entries=known.entries if known else ())
    return Node("f", path.read_bytes(), mode)


def _hook_in() -> None:
    """A hook stays for ever, so there is one, which passes on to whoever watches."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_heard)


_hooked: list[bool] = []


def _heard(event: str, _: object) -> None:
    if event in _EVENTS:
        for watcher in list(_active):
            watcher.before()


def _place() -> str:
    """Where in the code a sync is asked for: module and function, up to who asked `disk` or `files`."""
    frame = sys._getframe(2)
    names: list[str] = []
    while True:
        name = f"{frame.f_globals['__name__'].rpartition('.')[2]}.{frame.f_code.co_name}"
        if name not in names:
            names.append(name)
        if not name.startswith(("disk.", "files.")) or frame.f_back is None:
            return " of ".join(names)
        frame = frame.f_back
