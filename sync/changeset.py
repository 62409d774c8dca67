"""The change-set file: what a batch of rows looks like while it travels.

One zstd frame that holds, in this order:

1. a header: one line of JSON (`Header`), which lists the tables with their columns and row counts;
2. for each table in the header's order, for each column, a block of that column's values;
3. for each table in reverse order, a block of the keys that were deleted, when there are any;
4. a trailer: one line of JSON with the row counts and the SHA-256 of every byte before it.

A block is its length in bytes as decimal digits and a line feed, then that many bytes: one value
per line in the escaping of PostgreSQL's `COPY … (format text)`. Values of one column stand together
because they compress far better so than row by row. The file's own SHA-256 is its identity: the
next change-set names it (`prev_sha256`), and the receiver acknowledges it. Nothing here knows a
database.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BufferedReader
from typing import Any, BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "FORMAT",
    "GENESIS",
    "BadChangeSet",
    "Block",
    "Header",
    "Limits",
    "Table",
    "check",
    "file_name",
    "read",
    "sequence",
    "write",
]

FORMAT = 1
GENESIS = "0" * 64
LEVEL = 3
_NAME = re.compile(r"(\d{12})\.cs")
_HEX64 = re.compile(r"[0-9a-f]{64}")


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
    block: int = 64 * 2**20
    total: int = 512 * 2**20
    tables: int = 100
    columns: int = 200
    # A decoder needs 2 ** window_log bytes; level 3 writes windows of 2 MiB.
    window_log: int = 23


@dataclass(frozen=True)
class Table:
    """One table's share of a change-set: how many rows are set, and how many keys are gone."""

    table: str
    columns: tuple[str, ...]
    upserts: int
    deletes: int


@dataclass(frozen=True)
class Header:
    """What a change-set says of itself; `first_seq` is `seq` unless several were merged."""

    stream: str
    epoch: str
    seq: int
    first_seq: int
    prev_sha256: str
    schema: str
    node: str
    created: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Block:
    """Values of one column of `table`, or with `column` None the keys of its deleted rows."""

    table: Table
    column: str | None
    data: bytes

    def lines(self) -> list[bytes]:
        """Return the values, still escaped for COPY."""
        return self.data.split(b"\n")[:-1]


def file_name(seq: int) -> str:
    """Return the name of change-set `seq`; names sort as numbers do.

    >>> file_name(7)
    '000000000007.cs'
    """
    return f"{seq:012d}.cs"


def sequence(name: str) -> int | None:
    """Return the number in a change-set's file name, or None when it is no such name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def write(
    out: BinaryIO,
    header: Header,
    upserts: Iterable[Sequence[bytes]],
    deletes: Iterable[bytes],
) -> tuple[str, int]:
    """Write a change-set and return its SHA-256 and size in bytes.

    Arguments: `upserts` gives for each table of the header a sequence of columns, each column the
    bytes of its values with a line feed after each; `deletes` gives for each table in reverse order
    its deleted keys in the same form (empty when there are none).
    """
    compressor = zstd.ZstdCompressor(level=LEVEL)
    plain, packed, size = hashlib.sha256(), hashlib.sha256(), 0

    def pack(data: bytes) -> None:
        nonlocal size
        packed.update(data)
        size += len(data)
        out.write(data)

    def put(data: bytes) -> None:
        plain.update(data)
        pack(compressor.compress(data))

    put(json.dumps({"format": FORMAT, **asdict(header)}).encode() + b"\n")
    for columns in upserts:
        for data in columns:
            put(b"%d\n" % len(data))
            put(data)
    for data in filter(None, deletes):
        put(b"%d\n" % len(data))
        put(data)
    trailer = {
        "upserts": sum(table.upserts for table in header.tables),
        "deletes": sum(table.deletes for table in header.tables),
        "sha256": plain.hexdigest(),
    }
    pack(compressor.compress(json.dumps(trailer).encode() + b"\n"))
    pack(compressor.flush())
    return packed.hexdigest(), size


def read(file: BufferedReader, name: str, limits: Limits = Limits()) -> Iterator[Header | Block]:
    """Give the header and then each block, in file order; memory is bounded by one block.

    Arguments: `file` is read from its beginning, `name` is what errors call it.

    The last word is the trailer's: what was given counts only when the iterator ends without
    `BadChangeSet`, which names the file, what was expected and what was found.
    """
    source = _Source(name, limits)
    file.seek(0)
    options = {int(zstd.DecompressionParameter.window_log_max): limits.window_log}
    try:
        with zstd.open(file, "rb", options=options) as frame:
            source.frame = frame
            header = _header(source)
            yield header
            for table in header.tables:
                if table.upserts:
                    for column in table.columns:
                        yield Block(table, column, source.block(table.upserts))
            for table in reversed(header.tables):
                if table.deletes:
                    yield Block(table, None, source.block(table.deletes))
            _trailer(source, header)
    except (zstd.ZstdError, EOFError) as error:
        raise source.bad("compressed data", "one whole zstd frame", error) from None


def check(file: BufferedReader, name: str, limits: Limits = Limits()) -> tuple[Header, str]:
    """Read a change-set to its end and return its header and the file's own SHA-256.

    Raises `BadChangeSet` when the file is too large, cut, altered or not one at all.

    >>> with path.open("rb") as file:  # doctest: +SKIP
    ...     header, sha256 = check(file, path.name)
    """
    size = file.seek(0, 2)
    if size > limits.file:
        raise BadChangeSet(name, "size in bytes", f"at most {limits.file}", size)
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    parts = read(file, name, limits)
    header = next(parts)
    assert isinstance(header, Header)
    for _ in parts:
        pass
    return header, digest


class _Source:
    """Reads lines and blocks within the limits and hashes what it read."""

    frame: zstd.ZstdFile

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.hash = hashlib.sha256()
        self.total = 0

    def bad(self, what: str, expected: object, found: object) -> BadChangeSet:
        return BadChangeSet(self.name, what, expected, found)

    def line(self, limit: int, what: str) -> bytes:
        line = self.frame.readline(limit + 1)
        if not line.endswith(b"\n"):
            found = f"no line end in {len(line)} bytes"
            raise self.bad(what, f"a line of at most {limit} bytes", found)
        return line

    def count(self, data: bytes) -> bytes:
        self.total += len(data)
        if self.total > self.limits.total:
            raise self.bad("unpacked size", f"at most {self.limits.total} bytes", "more")
        self.hash.update(data)
        return data

    def block(self, values: int) -> bytes:
        line = self.count(self.line(20, "length of a block"))
        if not line[:-1].isdigit():
            raise self.bad("length of a block", "decimal digits", repr(line[:20]))
        size = int(line)
        if size > self.limits.block:
            raise self.bad("length of a block", f"at most {self.limits.block}", size)
        data = self.count(self.frame.read(size))
        if len(data) != size:
            raise self.bad("a block", f"{size} bytes", f"{len(data)} bytes and the end of the file")
        found = data.count(b"\n")
        if found != values or not data.endswith(b"\n"):
            raise self.bad("values in a block", values, found)
        if b"\t" in data:
            raise self.bad("values in a block", "tabs escaped", "a tab")
        return data


def _object(source: _Source, line: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        raise source.bad(what, "one line of JSON", repr(line[:40])) from None
    if not isinstance(found, dict):
        raise source.bad(what, "a JSON object", repr(line[:40]))
    return found


def _header(source: _Source) -> Header:
    line = source.count(source.line(source.limits.header, "header"))
    found = _object(source, line, "header")
    if found.get("format") != FORMAT:
        raise source.bad("format", FORMAT, found.get("format"))
    try:
        header = Header(
            stream=_text(found["stream"]),
            epoch=_text(found["epoch"]),
            seq=_number(found["seq"]),
            first_seq=_number(found["first_seq"]),
            prev_sha256=_text(found["prev_sha256"]),
            schema=_text(found["schema"]),
            node=_text(found["node"]),
            created=_text(found["created"]),
            tables=tuple(_table(one) for one in found["tables"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise source.bad("header", "the fields of format 1", repr(error)) from None
    if len(header.tables) > source.limits.tables:
        raise source.bad("tables", f"at most {source.limits.tables}", len(header.tables))
    for table in header.tables:
        if len(table.columns) > source.limits.columns:
            raise source.bad("columns", f"at most {source.limits.columns}", len(table.columns))
        if len(set(table.columns)) != len(table.columns) or not table.columns:
            raise source.bad(f"columns of {table.table}", "different names", table.columns)
    if not 0 < header.first_seq <= header.seq:
        found_range = (header.first_seq, header.seq)
        raise source.bad("sequence", "0 < first_seq <= seq", found_range)
    if not _HEX64.fullmatch(header.prev_sha256):
        raise source.bad("prev_sha256", "64 hexadecimal digits", header.prev_sha256[:80])
    return header


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError(f"{str(value)[:40]!r} is no short text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value


def _table(found: dict[str, Any]) -> Table:
    return Table(
        table=_text(found["table"]),
        columns=tuple(_text(name) for name in found["columns"]),
        upserts=_number(found["upserts"]),
        deletes=_number(found["deletes"]),
    )


def _trailer(source: _Source, header: Header) -> None:
    trailer = _object(source, source.line(1000, "trailer"), "trailer")
    expected = {
        "upserts": sum(table.upserts for table in header.tables),
        "deletes": sum(table.deletes for table in header.tables),
        "sha256": source.hash.hexdigest(),
    }
    for key, value in expected.items():
        if trailer.get(key) != value:
            raise source.bad(f"trailer's {key}", value, trailer.get(key))
    if source.frame.read(1):
        raise source.bad("end of the file", "nothing after the trailer", "more data")
