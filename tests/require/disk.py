"""A model of a disk whose power may go: what was synced stays, what was not may be there, in part or not.

A host that is killed keeps the kernel's cache, so no real host shows whether an fsync is missing. Here the
real code runs on a real folder with `Recorder` in place of its `os`. It writes down what is done to which
file and directory; `images` then gives the disks that a power cut after any of these operations may leave:

- a file that was not synced since it was written to: as it was synced last, as it is now, or half of it;
- each entry of a directory that was not synced since: there or not, in any combination; a rename is one;
- what no entry leads to is gone.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from random import Random
from typing import Any

ROOT = 0


class Killed(BaseException):
    """The process was killed: nothing it would do afterwards is done."""


@dataclass(frozen=True)
class Node:
    """A file, a link or a directory at one moment: `kind` f, l or d; `data` is a link's target too."""

    kind: str
    data: bytes = b""
    mode: int = 0o600
    entries: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Op:
    """One operation: "entries" sets names of a directory (None: removes), "content" a node's state,
    "sync" brings a node to the disk, "note" is none: something beside the disk happened."""

    what: str
    node: int
    names: tuple[tuple[str, int | None], ...] = ()
    state: Node = Node("f")
    note: Any = None


@dataclass
class _Kept:
    """One node during a replay: as it was synced last (None: never), as it is, what is between the two."""

    synced: Node | None
    now: Node
    between: list[Op] = field(default_factory=list)


Image = dict[int, Node]


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


def images(base: Image, ops: Sequence[Op], chance: Random, most: int = 24) -> Iterator[Image]:
    """Yields the disks that a power cut after these operations may leave, each once.

    Args:
        base: the disk before them.
        ops: what was done.
        chance: chooses where there are more than `most`.
        most: how many at most.
    """
    kept = _replayed(base, ops)
    open_ones = {node: list(_variants(each)) for node, each in kept.items()}
    loose = {node: found for node, found in open_ones.items() if len(found) > 1}
    fixed = {node: found[0] for node, found in open_ones.items() if len(found) == 1}
    chosen: Iterator[tuple[Node, ...]]
    if prod(len(found) for found in loose.values()) <= most:
        chosen = product(*loose.values())
    else:
        chosen = (tuple(chance.choice(found) for found in loose.values()) for _ in range(most))
    seen: list[Image] = []
    for nodes in chosen:
        image = _reachable({**fixed, **dict(zip(loose, nodes, strict=True))})
        if image not in seen:
            seen.append(image)
            yield image


def _replayed(base: Image, ops: Sequence[Op]) -> dict[int, _Kept]:
    kept = {node: _Kept(state, state) for node, state in base.items()}
    for op in ops:
        if op.what == "content":
            fresh = _Kept(None, op.state)
            one = kept.setdefault(op.node, fresh)
            one.now = replace(op.state, entries=one.now.entries)
            if one is not fresh:
                one.between.append(op)
        elif op.what == "entries":
            one = kept[op.node]
            one.now = _with(one.now, op)
            one.between.append(op)
        elif op.what == "sync":
            one = kept[op.node]
            one.synced, one.between = one.now, []
    return kept


def _with(folder: Node, op: Op) -> Node:
    entries = dict(folder.entries)
    for name, node in op.names:
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node
    return replace(folder, entries=tuple(sorted(entries.items())))


def _variants(kept: _Kept) -> Iterator[Node]:
    """What may be left of one node."""
    if kept.synced is not None and not kept.between:
        yield kept.synced
    elif kept.now.kind == "d":
        entries = [op for op in kept.between if op.what == "entries"]
        for there in product((False, True), repeat=min(len(entries), 6)):
            state = replace(kept.synced or kept.now, mode=kept.now.mode, entries=())
            state = replace(state, entries=kept.synced.entries if kept.synced else ())
            for op, is_there in zip(entries[-6:], there, strict=True):
                state = _with(state, op) if is_there else state
            yield state
    elif kept.now.kind == "l":
        yield kept.now
    else:
        former = kept.synced or replace(kept.now, data=b"")
        half = kept.now.data[: (len(former.data) + len(kept.now.data)) // 2]
        yield from dict.fromkeys((former, kept.now, replace(kept.now, data=half)))


def _reachable(nodes: Image) -> Image:
    found: Image = {}
    waiting = [ROOT]
    while waiting:
        node = waiting.pop()
        found[node] = nodes[node]
        waiting += [each for _, each in nodes[node].entries if each not in found]
    return found


def lay_out(image: Image, root: Path) -> None:
    """Makes a folder what an image says."""
    for each in root.iterdir():
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    _fill(image, ROOT, root)


def _fill(image: Image, node: int, folder: Path) -> None:
    for name, each in image[node].entries:
        state, path = image[each], folder / name
        if state.kind == "d":
            path.mkdir()
            _fill(image, each, path)
        elif state.kind == "l":
            path.symlink_to(state.data.decode())
        else:
            path.write_bytes(state.data)
        if state.kind != "l":
            path.chmod(state.mode)
