"""The one stream that carries an artifact to a host: manifest, envelope, then the files the host lacks.

magic     b"turnaround-artifact 1\\n"
frame*    kind u8 | coding u8 | sha256 32 bytes | length u64 big-endian | that many bytes
kind      1 manifest (first, once) · 2 file · 3 end (no bytes; without it the stream was cut)
          4 envelope (second, once) · 5 instead of 1: the manifest of that hash, which was offered before
coding    0 as it is · 1 zlib; the hash is always that of the decoded bytes
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .errors import ManifestError, StreamCut
from .manifest import FILE_LIMIT, MANIFEST_LIMIT

MAGIC = b"turnaround-artifact 1\n"
MANIFEST, FILE, END, ENVELOPE, OFFERED = 1, 2, 3, 4, 5
ENVELOPE_LIMIT = 16 << 10
_LIMITS = {
    MANIFEST: MANIFEST_LIMIT,
    FILE: FILE_LIMIT,
    END: 64,
    ENVELOPE: ENVELOPE_LIMIT,
    OFFERED: 0,
}
_HEADER = struct.Struct(">BB32sQ")
_CHUNK = 1 << 18


def pack(kind: int, content: bytes = b"") -> bytes:
    """One frame; compressed when that makes it smaller (pages; wheels are compressed already)."""
    packed = zlib.compress(content, 9)
    coding, body = (1, packed) if len(packed) < len(content) else (0, content)
    return _HEADER.pack(kind, coding, hashlib.sha256(content).digest(), len(body)) + body


def head(kind: int, sha256: str, length: int) -> bytes:
    """The beginning of a frame whose bytes follow as they are, for files that are sent in pieces."""
    return _HEADER.pack(kind, 0, bytes.fromhex(sha256), length)


@dataclass(frozen=True)
class Frame:
    """The head of one frame: what it is, the hash it promises, and how many bytes follow."""

    kind: int
    compressed: bool
    sha256: str
    length: int


class Reader:
    """Reads frames one after the other without holding a file in memory.

    Args:
        source: what is read, usually standard input.

    Raises:
        StreamCut: the stream ended before its end frame.
        ManifestError: it is not such a stream.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.received = 0
        if (magic := self._exactly(len(MAGIC))) != MAGIC:
            raise ManifestError(f"the stream starts with {magic!r}, expected {MAGIC!r}")

    def next(self) -> Frame:
        """The next frame's head; its bytes must be taken with `content` before the next call."""
        kind, coding, digest, length = _HEADER.unpack(self._exactly(_HEADER.size))
        limit = _LIMITS.get(kind)
        if limit is None or coding not in (0, 1) or length > limit:
            raise ManifestError(
                f"the stream holds a frame of kind {kind}, coding {coding}, {length} bytes, "
                "which no artifact has; build and send again"
            )
        return Frame(kind, coding == 1, digest.hex(), length)

    def content(self, frame: Frame, limit: int) -> Iterator[bytes]:
        """The frame's decoded bytes in pieces.

        Args:
            frame: what `next` returned last.
            limit: how many decoded bytes it may hold; more is refused before they pile up.
        """
        given = 0
        for piece in self._inflated(frame) if frame.compressed else self._raw(frame.length):
            given += len(piece)
            if given > limit:
                raise ManifestError(
                    f"{frame.sha256[:12]}: expected {limit} bytes, found more; build and send again"
                )
            yield piece

    def _raw(self, length: int) -> Iterator[bytes]:
        while length:
            chunk = self._exactly(min(length, _CHUNK))
            length -= len(chunk)
            yield chunk

    def _inflated(self, frame: Frame) -> Iterator[bytes]:
        """Decodes with bounded memory: a few bytes of zlib can stand for very many."""
        unpack = zlib.decompressobj()
        try:
            for chunk in self._raw(frame.length):
                waiting = chunk
                while waiting:
                    yield unpack.decompress(waiting, _CHUNK)
                    waiting = unpack.unconsumed_tail
            while rest := unpack.decompress(b"", _CHUNK):
                yield rest
            if not unpack.eof:
                raise zlib.error("incomplete")
        except zlib.error as error:
            raise ManifestError(
                f"{frame.sha256[:12]}: damaged on the way ({error}); send again"
            ) from error

    def _exactly(self, count: int) -> bytes:
        parts: list[bytes] = []
        missing = count
        while missing:
            part = self._source.read(missing)
            if not part:
                raise StreamCut(
                    f"the stream was cut after {self.received} bytes; the files that had arrived "
                    "whole are kept, nothing else was changed: run the same command again"
                )
            parts.append(part)
            missing -= len(part)
            self.received += len(part)
        return b"".join(parts)
