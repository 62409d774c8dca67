"""Tar archives made of what is to be in them."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Mapping
from typing import Any

Entries = Mapping[str, Any]


def tar(entries: Entries, how: str = "gz") -> bytes:
    """Return an archive.

    Args:
        entries: by name the bytes of a file, None for a directory, or what else a member has:
            "type", "linkname", "mode", "data".
        how: compression, "gz", "xz" or "" for none; the same bytes each time.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, entry in entries.items():
            add(archive, name, entry)
    data = made.getvalue()
    return {"": data, "gz": gzip.compress(data, mtime=0), "xz": lzma.compress(data)}[how]


def add(archive: tarfile.TarFile, name: str, entry: Any) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = 1_700_000_000
    data = b""
    if entry is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o775
    elif isinstance(entry, bytes):
        data, info.mode = entry, 0o644
    else:
        data = entry.get("data", b"")
        for field in ("type", "linkname", "mode"):
            if field in entry:
                setattr(info, field, entry[field])
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def link(target: str) -> dict[str, Any]:
    return {"type": tarfile.SYMTYPE, "linkname": target}


def hard(target: str) -> dict[str, Any]:
    return {"type": tarfile.LNKTYPE, "linkname": target}
