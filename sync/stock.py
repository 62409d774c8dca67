"""What of the content an aircraft is offered: its audience's manifest, and links to the blobs in it.

A `Stock` looks once at what is the same for all aircraft that are offered something in one round: a
manifest is parsed once, however many share it. Whether an aircraft has a link to each blob, and to the
file that the hangar has now, is seen by listing folders: no blob is looked at by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sync import files, tree
from sync.audience import Audience
from sync.issue import HEAD, head_path, issued, manifest_path, read_head

__all__ = ["Named", "Stock", "offer"]


@dataclass(frozen=True)
class Named:
    """What an offer needs of a manifest: its version, and the hashes of its files."""

    version: str
    hashes: frozenset[str]


class Stock:
    """The hangar's content as one round of offers sees it.

    Arguments: `content` is where the hangar's content lies.
    """

    def __init__(self, content: Path) -> None:
        self.content = content
        self._named: dict[tuple[int, int, int], Named | None] = {}
        # Audiences have most hashes in common.
        self._texts: dict[str, str] = {}

    @cached_property
    def blobs(self) -> dict[str, int]:
        """The inode of each blob that was here when this was first asked, by its hash."""
        return {entry.name: entry.inode() for entry in tree.blobs(self.content / "blobs")}

    def named(self, path: Path) -> Named | None:
        """Return what a manifest names, by any name of it; None when it cannot be read."""
        found = path.stat()
        key = (found.st_ino, found.st_mtime_ns, found.st_size)
        if key not in self._named:
            self._named[key] = self._read(path)
        return self._named[key]

    def _read(self, path: Path) -> Named | None:
        manifest = issued(path)
        if manifest is None:
            return None
        hashes = (file.sha256 for item in manifest.items for file in item.files)
        one = self._texts.setdefault
        return Named(manifest.version, frozenset(one(sha256, sha256) for sha256 in hashes))


def offer(stock: Stock, audience: Audience, folder: Path, *, whole: bool) -> None:
    """Link what the audience's manifest names, the manifest, and last what heartbeats are answered from.

    Arguments: `folder` is the aircraft's; with `whole` its links are compared with the hangar's blobs also
    where the manifest is offered already.
    """
    told, head = manifest_path(stock.content, audience), head_path(stock.content, audience)
    offered = folder / "manifest.json"
    if _same(head, folder / HEAD) and _same(told, offered) and not whole:
        return
    if not told.exists() or not head.exists():
        return
    # By names of their own: others may be issued meanwhile, whose blobs are not linked.
    with _beside(told, offered) as coming, _beside(head, folder / HEAD) as answer:
        named = stock.named(coming)
        # The head is a newer one's while that is issued, or was when the power went.
        if named is None or read_head(answer).version != named.version:
            return
        others = _link(stock, named.hashes, folder / "blobs")
        _move(coming, offered)
        for path in others:
            path.unlink(missing_ok=True)
        _move(answer, folder / HEAD)


def _link(stock: Stock, hashes: Set[str], folder: Path) -> list[Path]:
    """Make a folder hold links to these blobs, and return what else is in it."""
    there: dict[str, int] = {}
    others = []
    for entry in tree.blobs(folder):
        if entry.name in hashes:
            there[entry.name] = entry.inode()
        else:
            others.append(Path(entry.path))
    lacking = hashes - there.keys()
    for below in {sha256[:2] for sha256 in lacking}:
        (folder / below).mkdir(parents=True, exist_ok=True)
    for sha256 in lacking:
        os.link(tree.blob_path(stock.content, sha256), folder / sha256[:2] / sha256)
    for sha256, inode in there.items():
        # What the hangar has no more is here still.
        if inode != stock.blobs.get(sha256, inode):
            # One that was imported again is another file: the former may have been damaged.
            blob = tree.blob_path(stock.content, sha256)
            with _beside(blob, folder / sha256[:2] / sha256) as beside:
                _move(beside, folder / sha256[:2] / sha256)
    return others


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


@contextmanager
def _beside(source: Path, target: Path) -> Iterator[Path]:
    """Link a file where it can be moved to the target from, and leave nothing there; what is the target
    already is given as that."""
    if _same(source, target):
        yield target
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    os.link(source, beside)
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _move(beside: Path, target: Path) -> None:
    if beside != target:
        files.move(beside, target)
