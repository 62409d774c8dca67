"""The content manifest: which items an aircraft should carry, and the hash of each of their files.

Pure: how it is written and checked, and in which order its files are fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

__all__ = ["BadManifest", "File", "Item", "Manifest", "dump", "load", "plan"]

FORMAT = 1
MAX_BYTES = 64 * 2**20
# Small items share one run of rsync; a large one has its own, so that it can be overtaken.
GROUP_BYTES = 8 * 2**20
_HEX64 = re.compile(r"[0-9a-f]{64}")
_NEVER = datetime.max.replace(tzinfo=UTC)


class BadManifest(Exception):
    """The manifest is not what it should be; the message says where, what was expected and found."""


@dataclass(frozen=True)
class File:
    """A file of an item: where it stands in it, its SHA-256, its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Item:
    """An item and when it may be seen; the smaller `priority`, the earlier it is fetched."""

    id: str
    kind: str
    priority: int
    valid_from: datetime | None
    valid_to: datetime | None
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """All the items, in a fixed order; `version` is made from them, so equal means equal."""

    items: tuple[Item, ...]

    @property
    def version(self) -> str:
        """The first 16 digits of the items' SHA-256."""
        return hashlib.sha256(_items(self)).hexdigest()[:16]


def _items(manifest: Manifest) -> bytes:
    items = [
        {
            "id": item.id,
            "kind": item.kind,
            "priority": item.priority,
            "valid_from": item.valid_from and item.valid_from.isoformat(),
            "valid_to": item.valid_to and item.valid_to.isoformat(),
            "files": [
                {"path": file.path, "sha256": file.sha256, "size": file.size} for file in item.files
            ],
        }
        for item in manifest.items
    ]
    return json.dumps(items, separators=(",", ":")).encode()


def dump(manifest: Manifest) -> bytes:
    """Return the manifest as JSON: `{"format", "version", "items": […]}`."""
    head = f'{{"format":{FORMAT},"version":"{manifest.version}","items":'
    return head.encode() + _items(manifest) + b"}\n"


def load(data: bytes) -> Manifest:
    """Return the manifest in `data`, which came from outside; raises `BadManifest`.

    >>> load(dump(Manifest(()))).version == Manifest(()).version
    True
    """
    if len(data) > MAX_BYTES:
        raise BadManifest(f"manifest: expected at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise BadManifest(f"manifest: expected format {FORMAT}, found {found['format']!r}")
        manifest = Manifest(tuple(_item(one) for one in found["items"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadManifest(f"manifest: expected the fields of format 1, found {error!r}") from None
    if manifest.version != found.get("version"):
        raise BadManifest(
            f"manifest: expected version {found.get('version')}, found {manifest.version}: "
            "it was altered or cut"
        )
    return manifest


def _item(found: dict[str, Any]) -> Item:
    files = tuple(_file(one) for one in found["files"])
    if len({file.path for file in files}) != len(files):
        raise ValueError(f"item {found['id']} names a path twice")
    return Item(
        id=str(UUID(found["id"])),
        kind=str(found["kind"]),
        priority=int(found["priority"]),
        valid_from=_moment(found["valid_from"]),
        valid_to=_moment(found["valid_to"]),
        files=files,
    )


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return moment


def _file(found: dict[str, Any]) -> File:
    file = File(str(found["path"]), str(found["sha256"]), int(found["size"]))
    parts = PurePosixPath(file.path).parts
    inside = (
        parts and not {"..", "/", "//"} & set(parts) and str(PurePosixPath(*parts)) == file.path
    )
    if not inside or len(file.path) > 500 or not file.path.isprintable():
        raise ValueError(f"path {file.path!r} is not one inside an item")
    if not _HEX64.fullmatch(file.sha256) or file.size < 0:
        raise ValueError(f"{file.path} has no valid sha256 and size")
    return file


def plan(
    manifest: Manifest, have: Callable[[File], bool], now: datetime
) -> list[tuple[tuple[Item, ...], tuple[File, ...]]]:
    """Return what to fetch: groups of items, each with the files that are missing, first group first.

    Items go by (priority, expiry, size): today's newspaper overtakes a film. One that has expired is
    not fetched; one whose files are all here is in no group. A file that several items share is
    fetched once.
    """
    asked: set[str] = set()
    groups: list[tuple[list[Item], list[File]]] = []
    room = 0
    for item in _in_order(manifest.items, now):
        missing = [
            file for file in _once(item.files) if file.sha256 not in asked and not have(file)
        ]
        if not missing:
            continue
        asked |= {file.sha256 for file in missing}
        size = sum(file.size for file in missing)
        if not groups or size > room:
            groups.append(([], []))
            room = GROUP_BYTES
        groups[-1][0].append(item)
        groups[-1][1].extend(missing)
        room -= size
    return [(tuple(items), tuple(files)) for items, files in groups]


def _in_order(items: Iterable[Item], now: datetime) -> list[Item]:
    wanted = [item for item in items if item.valid_to is None or item.valid_to > now]
    return sorted(wanted, key=lambda one: (one.priority, one.valid_to or _NEVER, one.size, one.id))


def _once(files: Iterable[File]) -> list[File]:
    return list({file.sha256: file for file in files}.values())
