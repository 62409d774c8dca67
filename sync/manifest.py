"""The content manifest: which items an audience should carry, and the hash of each of their files.

Pure: how it is written and checked. It is one file, signature
and all, so that the two are never of different versions:

    {"format": 1, "version": "…", "audience": {…}, "items": […], "signature": "-----BEGIN SSH …"}

Signed is what stands before `,"signature":`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from sync.signature import BadSignature, attach, detach

__all__ = [
    "BadManifest",
    "File",
    "Item",
    "Manifest",
    "Urgency",
    "dump",
    "load",
    "seal",
    "unseal",
    "urgency",
]

FORMAT = 1
MAX_BYTES = 64 * 2**20
_HEX64 = re.compile(r"[0-9a-f]{64}")
_NEVER = datetime.max.replace(tzinfo=UTC)


Urgency = tuple[int, datetime]
"""The smaller, the more urgent: priority first, then what expires sooner."""


def urgency(priority: int, valid_to: datetime | None) -> Urgency:
    """Return how urgent that is; what never expires can wait longest.

    >>> urgency(10, None) < urgency(100, None)
    True
    """
    return priority, valid_to or _NEVER


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

    @property
    def urgency(self) -> Urgency:
        """Where it stands among others."""
        return urgency(self.priority, self.valid_to)


@dataclass(frozen=True)
class Manifest:
    """All the items in a fixed order, and for whom: `audience` as `sync.audience` writes it.

    `refused` says which items it named that could not be taken, and why.
    """

    items: tuple[Item, ...]
    audience: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    refused: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.version:
            written = [_written(item) for item in self.items]
            object.__setattr__(self, "version", _version(written))


def _written(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "priority": item.priority,
        "valid_from": item.valid_from and item.valid_from.isoformat(),
        "valid_to": item.valid_to and item.valid_to.isoformat(),
        "files": [
            {"path": file.path, "sha256": file.sha256, "size": file.size} for file in item.files
        ],
    }


def _version(items: list[dict[str, Any]]) -> str:
    """The first 16 digits of the items' SHA-256: equal means equal."""
    return hashlib.sha256(_json(items)).hexdigest()[:16]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def dump(manifest: Manifest) -> bytes:
    """Return what is signed of a manifest: its JSON, but for the last brace."""
    told = {
        "format": FORMAT,
        "version": manifest.version,
        "audience": dict(manifest.audience),
        "items": [_written(item) for item in manifest.items],
    }
    return _json(told)[:-1]


def seal(manifest: Manifest, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the file of a manifest: signed by `sign`, which gives an armoured signature.

    Raises `BadManifest` for one that is longer than anybody would take.
    """
    told = dump(manifest)
    data = attach(told, sign(told))
    _bounded(data)
    return data


def _bounded(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise BadManifest(f"manifest: expected at most {MAX_BYTES} bytes, found {len(data)}")


def unseal(data: bytes, verify: Callable[[bytes, bytes], object]) -> Manifest:
    """Return the manifest in a file that came from outside.

    Arguments: `verify` is given what was signed and the signature, and raises what it will.
    Raises `BadManifest`, before anything in it is believed.

    >>> unseal(seal(Manifest(()), lambda told: b"ok"), lambda told, signature: None).items
    ()
    """
    _bounded(data)
    try:
        told, signature = detach(data)
    except BadSignature as error:
        raise BadManifest(f"manifest: {error}") from None
    verify(told, signature)
    return load(told)


def load(told: bytes) -> Manifest:
    """Return the manifest that `dump` wrote; raises `BadManifest`.

    An item that is not as it should be is left out, and the others count.

    >>> load(dump(Manifest(()))).version == Manifest(()).version
    True
    """
    try:
        found = json.loads(told + b"}")
        if found["format"] != FORMAT:
            raise BadManifest(f"manifest: expected format {FORMAT}, found {found['format']!r}")
        listed, audience = found["items"], found.get("audience", {})
        if not isinstance(listed, list) or not isinstance(audience, dict):
            raise TypeError("items and audience")
        version = _version(listed)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadManifest(f"manifest: expected the fields of format 1, found {error!r}") from None
    if version != found.get("version"):
        raise BadManifest(
            f"manifest: expected version {found.get('version')}, found {version}: "
            "it was altered or cut"
        )
    items: dict[str, Item] = {}
    refused = []
    for number, one in enumerate(listed, 1):
        try:
            item = _item(one)
            if item.id in items:
                raise ValueError("its id is another one's too")
            items[item.id] = item
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            name = one.get("id") if isinstance(one, dict) else None
            refused.append(f"item {number} of the manifest ({str(name)[:64]}) is refused: {error}")
    return Manifest(tuple(items.values()), audience, version, tuple(refused))


def _item(found: dict[str, Any]) -> Item:
    files = tuple(_file(one) for one in found["files"])
    paths = {file.path for file in files}
    if len(paths) != len(files):
        raise ValueError("it names a path twice")
    for path in paths:
        if not paths.isdisjoint(str(above) for above in PurePosixPath(path).parents):
            raise ValueError(f"path {path!r} lies below another file of it")
    sizes: dict[str, int] = {}
    for file in files:
        if sizes.setdefault(file.sha256, file.size) != file.size:
            raise ValueError(f"{file.sha256} has two sizes")
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
    long = len(file.path) > 500 or any(len(part.encode()) > 255 for part in parts)
    if not inside or long or not file.path.isprintable():
        raise ValueError(f"path {file.path!r} is not one inside an item")
    if not _HEX64.fullmatch(file.sha256) or file.size < 0:
        raise ValueError(f"{file.path} has no valid sha256 and size")
    return file
