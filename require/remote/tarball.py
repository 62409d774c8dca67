"""Reads a tar, compressed or not, from its first byte to its last, and yields what may be unpacked.

Nothing is written here, and nothing is believed: a name or a link that leads outside, a device, a
member below a link, and more bytes or members than were allowed end it. So does another SHA-256, which
is known after the last member only: what was unpacked until then is not to be used.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterator
from typing import Any

from require.remote.shell import Refused

MAX_MEMBERS = 50_000
MAX_EXPANSION = 200
SMALL = 16 * 1024 * 1024
GZIP = b"\x1f\x8b"
XZ = b"\xfd7zXZ\0"
ZSTD = b"\x28\xb5\x2f\xfd"
DAMAGED = (tarfile.TarError, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


class Member:
    """One thing to unpack: `name` below the tree, "" for the tree itself; `kind` directory, file, link
    or hard link; `mode` and `mtime` (s); `target` of a link, or the name of what a hard link is the same
    as; `data` to read of a file, before the next member is asked for."""

    def __init__(
        self, name: str, kind: str, mode: int, mtime: float = 0, target: str = "", data: Any = None
    ) -> None:
        self.name, self.kind, self.mode, self.mtime = name, kind, mode, mtime
        self.target, self.data = target, data


def members(archive: Any, sha: str, strip: int, max_bytes: int) -> Iterator[Member]:
    """Yield the members of an archive, each directory before what is in it.

    Args:
        archive: binary file that can seek.
        sha: the SHA-256 it must have.
        strip: how many leading directories of each name are left out.
        max_bytes: most that it may be once decompressed.

    Raises:
        Refused: with the member that may not be unpacked, and why.
    """
    with (
        _told(),
        _opened(archive, max_bytes) as (stream, hashed),
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        yield from _checked(tar, strip)
        for rest in (stream, hashed):
            while rest.read(65536):
                pass
    found = hashed.sha.hexdigest()
    if found != sha:
        raise Refused(f"the archive has the SHA-256 {found}, not {sha} as declared")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise Refused(f"the archive is damaged, or no tar: {error}") from error


class _Data:
    """Reads a member, as long as the archive is whole."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def read(self, size: int) -> bytes:
        with _told():
            piece: bytes = self.inner.read(size)
        return piece


def _checked(tar: tarfile.TarFile, strip: int) -> Iterator[Member]:
    kinds = {"": "directory"}
    for number, entry in enumerate(tar):
        if number == MAX_MEMBERS:
            raise Refused(f"the archive has more than {MAX_MEMBERS} members")
        name = _name(entry.name, strip)
        if name is None:
            if not entry.isdir():
                raise Refused(f"{entry.name!r}: with strip={strip} nothing is left of its name")
            continue
        for above in _above(name):
            if above not in kinds:
                kinds[above] = "directory"
                yield Member(above, "directory", 0o777)
            if kinds[above] != "directory":
                raise Refused(f"{entry.name!r} is below a {kinds[above]}")
        kind = _kind(entry)
        if kinds.get(name, kind) != kind or (name in kinds and kind != "directory"):
            raise Refused(f"{entry.name!r} is in the archive twice")
        kinds[name] = kind
        yield Member(name, kind, entry.mode & 0o777, entry.mtime, *_more(tar, entry, strip, kinds))


def _more(
    tar: tarfile.TarFile, entry: tarfile.TarInfo, strip: int, kinds: dict[str, str]
) -> tuple[str, Any]:
    """Return target and data of a member."""
    if entry.isdir():
        return "", None
    if entry.issym():
        depth = len((_name(entry.name, strip) or "").split("/")) - 1
        return _inside(entry, depth), None
    if entry.islnk():
        target = _name(entry.linkname, strip) or ""
        if kinds.get(target) != "file":
            raise Refused(
                f"{entry.name!r} is to be the same as {entry.linkname!r}, which is no file"
            )
        return target, None
    return "", _Data(tar.extractfile(entry))


def _kind(entry: tarfile.TarInfo) -> str:
    if entry.isdir():
        return "directory"
    if entry.issym():
        return "link"
    if entry.islnk():
        return "hard link"
    if entry.isreg() and not entry.issparse():
        return "file"
    raise Refused(f"{entry.name!r} is no file, directory or link: devices and the like stay out")


def _name(name: str, strip: int) -> str | None:
    """Return where a member goes below the tree; None for what is stripped off."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise Refused(f"{name!r} leads outside: no absolute paths and no ..")
    return "/".join(parts[strip:]) if len(parts) > strip or not parts else None


def _above(name: str) -> list[str]:
    """Return the directories above a name, the outermost first."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _inside(entry: tarfile.TarInfo, depth: int) -> str:
    """Return a link's target if it stays below the tree whatever other links it leads through.

    Above a member are true directories only, so as many ".." as these are stay inside; one further on
    may follow a link, of which its "..", seen from there, is somewhere else.
    """
    parts = [part for part in entry.linkname.split("/") if part not in ("", ".")]
    up = next((count for count, part in enumerate(parts) if part != ".."), len(parts))
    if entry.linkname.startswith("/") or up > depth or ".." in parts[up:] or not entry.linkname:
        raise Refused(f"the link {entry.name!r} → {entry.linkname!r} may lead outside")
    return entry.linkname


class _Hashed:
    """Reads a file and notes what it read."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.sha = inner, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self.inner.read(size)
        self.sha.update(piece)
        return piece


class _Bounded:
    """Reads what comes out, and stops where that is more than it may be."""

    def __init__(self, inner: Any, limit: int) -> None:
        self.inner, self.limit, self.count = inner, limit, 0

    def read(self, size: int) -> bytes:
        piece: bytes = self.inner.read(size)
        self.count += len(piece)
        if self.count > self.limit:
            raise Refused(
                f"the archive is more than {self.limit} bytes once decompressed: at most "
                f"max_bytes= are allowed, and {MAX_EXPANSION} times its own size"
            )
        return piece


@contextlib.contextmanager
def _opened(archive: Any, max_bytes: int) -> Iterator[tuple[Any, _Hashed]]:
    """Decompress a file by what it begins with."""
    size = archive.seek(0, os.SEEK_END)
    archive.seek(0)
    begins = archive.read(6)
    archive.seek(0)
    hashed: Any = _Hashed(archive)
    limit = min(max_bytes, max(SMALL, MAX_EXPANSION * size))
    if begins.startswith(ZSTD):
        with _zstd(hashed) as stream:
            yield _Bounded(stream, limit), hashed
    elif begins.startswith(GZIP):
        with gzip.GzipFile(fileobj=hashed) as stream:
            yield _Bounded(stream, limit), hashed
    elif begins == XZ:
        with lzma.LZMAFile(hashed) as stream:
            yield _Bounded(stream, limit), hashed
    else:
        yield _Bounded(hashed, limit), hashed


@contextlib.contextmanager
def _zstd(hashed: Any) -> Iterator[Any]:
    """Decompress by the program of that name: before 3.14 Python itself cannot."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(["zstd", "-dcq"], stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        raise Refused('there is no zstd: declare require.apt.packages(["zstd"])') from None

    def feed() -> None:
        assert process.stdin
        with contextlib.suppress(BrokenPipeError), process.stdin:
            shutil.copyfileobj(hashed, process.stdin)

    feeder = threading.Thread(target=feed)
    with process:
        feeder.start()
        try:
            yield process.stdout
            feeder.join()
            if process.wait() != 0:
                assert process.stderr
                said = process.stderr.read().decode(errors="replace").strip()
                raise EOFError(f"zstd ended with exit code {process.returncode}: {said}")
        finally:
            process.kill()
            feeder.join()
