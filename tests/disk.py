"""A model of a disk whose power may go: what was synced stays, what was not may be there, in part or not.

A host that is killed keeps the kernel's cache, so no real host shows whether an fsync is missing. Here the
real code runs on a real folder, and what is done to which file and directory is written down, by a `Recorder`
in place of its `os` or by a `Watcher`; `images` then gives the disks that a power cut after any operation may
leave:

- a file that was not synced since it was written to: as it was synced last, as it is now, or half of it;
- each entry of a directory that was not synced since: there or not, in any combination; a rename is one;
- what no entry leads to is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from random import Random
from typing import Any

ROOT = 0


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
        former = replace(kept.now, entries=kept.synced.entries if kept.synced else ())
        for there in product((False, True), repeat=len(entries)):
            state = former
            for op, is_there in zip(entries, there, strict=True):
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
    _fill(image, ROOT, root, {})


def _fill(image: Image, node: int, folder: Path, laid: dict[int, Path]) -> None:
    for name, each in image[node].entries:
        state, path = image[each], folder / name
        if each in laid:
            path.hardlink_to(laid[each])
            continue
        if state.kind == "f":
            laid[each] = path
        if state.kind == "d":
            path.mkdir()
            _fill(image, each, path, laid)
        elif state.kind == "l":
            path.symlink_to(state.data.decode())
        else:
            path.write_bytes(state.data)
        if state.kind != "l":
            path.chmod(state.mode)
