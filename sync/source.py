"""Reading what a stranger may have written: lines and blocks within bounds, and what is wrong by name.

Memory is bounded by one line, or by one block and what it is unpacked to, whatever the file says of itself.
Who makes rows of blocks holds those of a group, so that is bounded too: neither a long column nor many of
them, neither long values nor many, are more than that.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

from sync import packing

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["FORMATS", "BadChangeSet", "Limits", "Source"]

# How a block begins: its values, its bytes, its template.
FORMATS = {
    1: re.compile(rb"()(\d{1,19})()\n"),
    2: re.compile(rb"(\d{1,19}) (\d{1,19})(?: ([^\n]+))?\n"),
}

_PACKED_AT_ONCE = 64 * 2**10


class BadChangeSet(Exception):
    """A file is not the change-set it should be: which file, what was expected, what was found."""

    def __init__(self, file: str, what: str, expected: object, found: object) -> None:
        super().__init__(f"{file}: {what}: expected {expected}, found {found}")
        self.file, self.what, self.expected, self.found = file, what, expected, found


@dataclass(frozen=True)
class Limits:
    """What a reader accepts, in bytes unless said otherwise; it reads no further than this."""

    file: int = 64 * 2**20
    header: int = 64 * 2**10
    block: int = 16 * 2**20
    # A writer of format 2 ends a group after a quarter of it.
    values: int = 65_536
    # Whoever makes rows of a group holds it. Of format 1 it is all of a table's rows, and change-sets had no
    # more bytes than this (`seal.RAW_BYTES`), but for a hangar's first one, made when it had next to nothing;
    # of format 2 it is 4 MiB and one row (`export.GROUP_BYTES`), and an app takes no form of more than 1 MB.
    group: int = 32 * 2**20
    total: int = 512 * 2**20
    tables: int = 100
    columns: int = 200
    blocks: int = 50_000
    # A decoder needs 2 ** window_log bytes; level 3 writes windows of 2 MiB.
    window_log: int = 23


class _Frame(io.RawIOBase):
    """What is in the one zstd frame that a file is."""

    def __init__(self, file: BinaryIO, window_log: int) -> None:
        options = {int(zstd.DecompressionParameter.window_log_max): window_log}
        self._file, self._decompressor = file, zstd.ZstdDecompressor(options=options)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._decompressor.eof:
            packed = b""
            if self._decompressor.needs_input:
                packed = self._file.read(_PACKED_AT_ONCE)
                if not packed:
                    raise EOFError("it ends too early")
            data = self._decompressor.decompress(packed, max_length=len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        # Frames may follow each other without end, and each takes its time.
        if self._decompressor.unused_data or self._file.read(1):
            raise EOFError("more follows it")
        return 0


class Source:
    """Reads lines and blocks within the limits and hashes what it read.

    Arguments: `file` is read from its beginning, `name` is what errors call it.
    """

    format: int

    def __init__(self, file: BinaryIO, name: str, limits: Limits) -> None:
        file.seek(0)
        self.frame = io.BufferedReader(_Frame(file, limits.window_log))
        self.name, self.limits = name, limits
        self.hash = hashlib.sha256()
        self.total = self.blocks = 0

    def bad(self, what: str, expected: object, found: object) -> BadChangeSet:
        return BadChangeSet(self.name, what, expected, found)

    def line(self, limit: int, what: str) -> bytes:
        line = self.frame.readline(limit + 1)
        if not line.endswith(b"\n"):
            found = f"no line end in {len(line)} bytes"
            raise self.bad(what, f"a line of at most {limit} bytes", found)
        return line

    def add(self, size: int) -> None:
        self.total += size
        if self.total > self.limits.total:
            raise self.bad("unpacked size", f"at most {self.limits.total} bytes", "more")

    def count(self, data: bytes) -> bytes:
        self.add(len(data))
        self.hash.update(data)
        return data

    def block(self, most: int, before: int) -> tuple[int, bytes]:
        """Return the number of values of the next block, at most `most`, and its values as text.

        Arguments: `before` are the bytes of its group's blocks before it, as text.
        """
        self.blocks += 1
        if self.blocks > self.limits.blocks:
            raise self.bad("blocks", f"at most {self.limits.blocks}", "more")
        line = self.count(self.line(self.limits.header, "head of a block"))
        head = FORMATS[self.format].fullmatch(line)
        if head is None:
            raise self.bad("head of a block", f"one of format {self.format}", repr(line[:40]))
        if head[1]:
            most = min(most, self.limits.values)
        values, size, template = int(head[1] or most), int(head[2]), head[3]
        if not 0 < values <= most:
            raise self.bad("values in a block", f"1 to {most}", values)
        unpacked = values * (len(template) + 1) if template else size
        longest = max(size, unpacked)
        if longest > self.limits.block:
            raise self.bad("length of a block", f"at most {self.limits.block}", longest)
        if before + longest > self.limits.group:
            raise self.bad("bytes of a group", f"at most {self.limits.group}", before + longest)
        data = self.count(self.frame.read(size))
        if len(data) != size:
            raise self.bad("a block", f"{size} bytes", f"{len(data)} bytes and the end of the file")
        if template:
            try:
                data = packing.unpack(template, data, values)
            except ValueError as error:
                raise self.bad("a packed block", "digits for its template", error) from None
            self.add(len(data))
        found = data.count(b"\n")
        if found != values or not data.endswith(b"\n"):
            raise self.bad("values in a block", values, found)
        if b"\t" in data:
            raise self.bad("values in a block", "tabs escaped", "a tab")
        return values, data

    def object(self, line: bytes, what: str) -> dict[str, Any]:
        """Return the JSON object that a line is."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise self.bad(what, "one line of JSON", repr(line[:40])) from None
        if not isinstance(found, dict):
            raise self.bad(what, "a JSON object", repr(line[:40]))
        return found
