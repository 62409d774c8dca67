"""Stands in for `os` while the real code runs, and writes down what it does to a disk."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.disk import ROOT, Image, Node, Op


class Killed(BaseException):
    """The process was killed: nothing it would do afterwards is done."""


class Recorder:
    """Stands in for `os` in the modules under test; what it does not know it passes on.

    Args:
        root: the folder that plays the disk; everything in it counts as synced.
        lost: tells by its place in the code, such as "private.write", whether an fsync is left out.
    """

    def __init__(self, root: Path, lost: Callable[[str], bool] = lambda place: False) -> None:
        self.root, self.lost = root, lost
        self.ops: list[Op] = []
        self.places: set[str] = set()
        self.kill_at = -1
        self.image: Image = {}
        self._nodes: dict[int, int] = {}
        self._state: dict[int, Node] = {}
        self._open: set[int] = set()
        self._scan(root)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _scan(self, path: Path) -> int:
        seen = path.lstat()
        node = self._nodes[seen.st_ino] = len(self._nodes)
        mode = stat.S_IMODE(seen.st_mode)
        if path.is_symlink():
            state = Node("l", os.readlink(path).encode())
        elif path.is_dir():
            entries = {each.name: self._scan(each) for each in sorted(path.iterdir())}
            state = Node("d", mode=mode, entries=tuple(entries.items()))
        else:
            state = Node("f", path.read_bytes(), mode)
        self.image[node] = self._state[node] = state
        return node

    def note(self, note: Any) -> None:
        """Writes down that something happened which is not on the disk."""
        self._add(Op("note", ROOT, note=note))

    def unsynced(self, path: Path) -> None:
        """Takes a file's content for written just now, and not on the disk."""
        node = self._nodes[path.stat().st_ino]
        self.image[node] = replace(self._state[node], data=b"")
        self._changed(node)

    def _add(self, op: Op) -> None:
        self.ops.append(op)

    def _alive(self) -> None:
        """Ends the process at the operation it is to be killed at, and lets nothing be done after."""
        if 0 <= self.kill_at <= len(self.ops):
            for handle in self._open:
                os.close(handle)
            self._open.clear()
            raise Killed

    def _new(self, ino: int, state: Node) -> int:
        node = self._nodes[ino] = max(self._nodes.values()) + 1
        self._state[node] = state
        self._add(Op("content", node, state=state))
        return node

    def _folder(self, path: str, dir_fd: int | None) -> tuple[int, str]:
        """The node of the directory that a path's last name is in, and that name."""
        above, name = os.path.split(path)
        there = os.fstat(dir_fd) if dir_fd is not None and not above else os.stat(above)
        return self._nodes.get(there.st_ino, -1), name

    def _entries(self, folder: int, *names: tuple[str, int | None]) -> None:
        if folder >= 0:
            self._add(Op("entries", folder, names=names))

    def _changed(self, node: int, **values: Any) -> None:
        self._state[node] = replace(self._state[node], **values)
        self._add(Op("content", node, state=self._state[node]))

    # What the code under test calls.

    def open(self, path: str, flags: int, mode: int = 0o777, dir_fd: int | None = None) -> int:
        self._alive()
        fresh = bool(flags & os.O_CREAT) and not os.access(
            path, os.F_OK, dir_fd=dir_fd, follow_symlinks=False
        )
        handle = os.open(path, flags, mode, dir_fd=dir_fd)
        self._open.add(handle)
        ino = os.fstat(handle).st_ino
        if fresh:
            folder, name = self._folder(path, dir_fd)
            self._entries(folder, (name, self._new(ino, Node("f", b"", mode))))
        elif flags & os.O_TRUNC and ino in self._nodes:
            self._changed(self._nodes[ino], data=b"")
        return handle

    def close(self, handle: int) -> None:
        if handle in self._open or self.kill_at < 0:
            self._open.discard(handle)
            os.close(handle)

    def write(self, handle: int, data: bytes) -> int:
        self._alive()
        count = os.write(handle, data)
        node = self._nodes.get(os.fstat(handle).st_ino)
        if node is not None:
            self._changed(node, data=self._state[node].data + bytes(data[:count]))
        return count

    def fsync(self, handle: int) -> None:
        self._alive()
        place = _place()
        self.places.add(place)
        node = self._nodes.get(os.fstat(handle).st_ino)
        if node is not None and not self.lost(place):
            self._add(Op("sync", node))

    def sync(self) -> None:
        self._alive()
        for node in list(self._state):
            if not self.lost(_place()):
                self._add(Op("sync", node))

    def fchmod(self, handle: int, mode: int) -> None:
        self._alive()
        os.fchmod(handle, mode)
        self._changed(self._nodes[os.fstat(handle).st_ino], mode=mode)

    def mkdir(self, path: str, mode: int = 0o777, dir_fd: int | None = None) -> None:
        self._alive()
        os.mkdir(path, mode, dir_fd=dir_fd)
        ino = os.stat(path, dir_fd=dir_fd).st_ino
        folder, name = self._folder(path, dir_fd)
        self._entries(folder, (name, self._new(ino, Node("d", mode=mode))))

    def makedirs(self, path: str, mode: int = 0o777, exist_ok: bool = False) -> None:
        if os.path.isdir(path):
            return
        self.makedirs(os.path.dirname(path), mode, exist_ok)
        self.mkdir(path, mode)

    def symlink(self, target: str, path: str, dir_fd: int | None = None) -> None:
        self._alive()
        os.symlink(target, path, dir_fd=dir_fd)
        ino = os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino
        folder, name = self._folder(path, dir_fd)
        self._entries(folder, (name, self._new(ino, Node("l", target.encode()))))

    def link(
        self, old: str, new: str, src_dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> None:
        self._alive()
        os.link(old, new, src_dir_fd=src_dir_fd, follow_symlinks=follow_symlinks)
        folder, name = self._folder(new, None)
        self._entries(folder, (name, self._nodes[os.stat(new, follow_symlinks=False).st_ino]))

    def replace(
        self, old: str, new: str, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        self._alive()
        node = self._nodes[os.stat(old, dir_fd=src_dir_fd, follow_symlinks=False).st_ino]
        os.replace(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        folder, name = self._folder(new, dst_dir_fd)
        former, old_name = self._folder(old, src_dir_fd)
        assert former == folder, "only a rename within one directory is atomic in this model"
        self._entries(folder, (old_name, None), (name, node))

    def unlink(self, path: str, dir_fd: int | None = None) -> None:
        self._alive()
        folder, name = self._folder(path, dir_fd)
        os.unlink(path, dir_fd=dir_fd)
        self._entries(folder, (name, None))

    def rmdir(self, path: str, dir_fd: int | None = None) -> None:
        self._alive()
        folder, name = self._folder(path, dir_fd)
        os.rmdir(path, dir_fd=dir_fd)
        self._entries(folder, (name, None))


def _place() -> str:
    """Where in the code an fsync is asked for: module and function, for `private.sync` its caller's too."""
    frame = sys._getframe(2)
    names = []
    while True:
        name = f"{frame.f_globals['__name__'].rpartition('.')[2]}.{frame.f_code.co_name}"
        names.append(name)
        if name != "private.sync" or frame.f_back is None:
            return " of ".join(names)
        frame = frame.f_back
