"""The change-set file: what a batch of rows looks like while it travels.

One zstd frame that holds, in this order:

1. a header: one line of JSON (`Header`), which lists the tables with their columns and row counts;
2. for each table in the header's order its rows, in groups: for each column a block of the group's values;
3. for each table in reverse order the keys that were deleted, in blocks;
4. a trailer: one line of JSON with the row counts and the SHA-256 of every byte before it.

A block is a line `VALUES BYTES` in decimal digits, then that many bytes: one value per line in the
escaping of PostgreSQL's `COPY … (format text)`. Or the line is `VALUES BYTES TEMPLATE`, and the bytes are
digits that `sync.packing` took out of values that are otherwise the template. Values of one column stand
together because they compress far better so than row by row; a group ends where its bytes become many, so
that neither end needs more memory for more rows. The file's own SHA-256 is its identity: the next
change-set names it (`prev_sha256`), and the receiver acknowledges it. Nothing here knows a database.

Format 1, which is read too, has one group for each table, and blocks that begin with their `BYTES` alone.
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

from sync import packing
from sync.source import FORMATS, BadChangeSet, Limits, Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "FORMAT",
    "GENESIS",
    "SNAPSHOT_LIMITS",
    "BadChangeSet",
    "Block",
    "Header",
    "Limits",
    "Table",
    "Writer",
    "check",
    "file_name",
    "read",
    "sequence",
    "snapshot_name",
    "snapshot_sequence",
    "write",
]

FORMAT = 2
GENESIS = "0" * 64
LEVEL = 3
_NAME = re.compile(r"(\d{12})\.cs")
_SNAPSHOT = re.compile(r"0{12}-(\d{12})\.cs")
_LIMITS = Limits()
SNAPSHOT_LIMITS = Limits(file=2**30, total=2**33, blocks=1_000_000)
"""Of a snapshot: all users that an airline ever had are in one, and it comes from the hangar alone."""
_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Table:
    """One table's share of a change-set: how many rows are set, and how many keys are gone.

    `additive` are those of the columns that a receiver may leave out when its schema lacks them.
    """

    table: str
    columns: tuple[str, ...]
    upserts: int
    deletes: int
    additive: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """What a change-set says of itself; `first_seq` is `seq` unless several were merged.

    With `whole` it is a snapshot: every row that there is, which stands for all change-sets up to `seq`
    (0: none was sealed yet) from `first_seq` 0 on. `last_sha256` is the hash of the one with that number,
    which the next one names.
    """

    stream: str
    epoch: str
    seq: int
    first_seq: int
    prev_sha256: str
    schema: str
    node: str
    created: str
    tables: tuple[Table, ...]
    whole: bool = False
    last_sha256: str = ""


@dataclass(frozen=True)
class Block:
    """Some values of one column of `table`, or with `column` None keys of its deleted rows.

    The blocks of a group follow each other, one for each column; a table has as many groups as it takes.
    """

    table: Table
    column: str | None
    data: bytes


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


def snapshot_name(seq: int) -> str:
    """Return the name of the snapshot that stands for change-sets up to `seq`; it sorts before them all.

    >>> snapshot_name(7)
    '000000000000-000000000007.cs'
    """
    return f"{0:012d}-{seq:012d}.cs"


def snapshot_sequence(name: str) -> int | None:
    """Return the number in a snapshot's file name, or None when it is no such name."""
    match = _SNAPSHOT.fullmatch(name)
    return int(match[1]) if match else None


class Writer:
    """Writes a change-set: its header at once, then `rows` and `deletes` as they come, `end` at last.

    Arguments: `out` is where it goes; the header's counts are those of what will come.
    """

    def __init__(self, out: BinaryIO, header: Header) -> None:
        self._out, self._header = out, header
        self._compressor = zstd.ZstdCompressor(level=LEVEL)
        self._plain, self._packed, self._size = hashlib.sha256(), hashlib.sha256(), 0
        self._put(json.dumps({"format": FORMAT, **asdict(header)}).encode() + b"\n")

    def group(self, columns: Sequence[Sequence[bytes]]) -> None:
        """Write some rows of the header's next table: for each of its columns the rows' values.

        A table's deleted keys are written the same way, as groups of one column.
        """
        for values in columns:
            packed = packing.pack(values)
            template, data = packed or (None, b"\n".join([*values, b""]))
            head = b"%d %d" % (len(values), len(data))
            self._put(head + (b"\n" if template is None else b" " + template + b"\n"))
            self._put(data)

    def end(self) -> tuple[str, int]:
        """Write the trailer and return the file's SHA-256 and size in bytes."""
        trailer = {
            "upserts": sum(table.upserts for table in self._header.tables),
            "deletes": sum(table.deletes for table in self._header.tables),
            "sha256": self._plain.hexdigest(),
        }
        self._put(json.dumps(trailer).encode() + b"\n")
        self._pack(self._compressor.flush())
        return self._packed.hexdigest(), self._size

    def _put(self, data: bytes) -> None:
        self._plain.update(data)
        self._pack(self._compressor.compress(data))

    def _pack(self, data: bytes) -> None:
        self._packed.update(data)
        self._size += len(data)
        self._out.write(data)


def write(
    out: BinaryIO,
    header: Header,
    upserts: Iterable[Sequence[bytes]],
    deletes: Iterable[bytes],
) -> tuple[str, int]:
    """Write a change-set that is in memory and return its SHA-256 and size in bytes.

    Arguments: `upserts` gives for each table of the header a sequence of columns, each column the
    bytes of its values with a line feed after each; `deletes` gives for each table in reverse order
    its deleted keys in the same form (empty when there are none).
    """
    writer = Writer(out, header)
    for columns in (*upserts, *([keys] for keys in deletes if keys)):
        writer.group([column.split(b"\n")[:-1] for column in columns])
    return writer.end()


def read(file: BufferedReader, name: str, limits: Limits = _LIMITS) -> Iterator[Header | Block]:
    """Give the header and then each block, in file order; memory is bounded by one block.

    Arguments: `file` is read from its beginning, `name` is what errors call it.

    The last word is the trailer's: what was given counts only when the iterator ends without
    `BadChangeSet`, which names the file, what was expected and what was found.
    """
    source = Source(file, name, limits)
    try:
        header = _header(source)
        yield header
        for table in header.tables:
            yield from _groups(source, table, table.columns, table.upserts)
        for table in reversed(header.tables):
            yield from _groups(source, table, (None,), table.deletes)
        _trailer(source, header)
    except (zstd.ZstdError, EOFError) as error:
        raise source.bad("compressed data", "one whole zstd frame", error) from None


def check(file: BufferedReader, name: str, limits: Limits = _LIMITS) -> tuple[Header, str]:
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


def _groups(
    source: Source, table: Table, columns: Sequence[str | None], rows: int
) -> Iterator[Block]:
    while rows > 0:
        group, size = None, 0
        for column in columns:
            values, data = source.block(rows if group is None else group, size)
            if group not in (None, values):
                raise source.bad("values in a block", group, values)
            group, size = values, size + len(data)
            yield Block(table, column, data)
        rows -= group or 0


def _header(source: Source) -> Header:
    line = source.count(source.line(source.limits.header, "header"))
    found = source.object(line, "header")
    format = found.get("format")
    if not isinstance(format, int) or format not in FORMATS:
        raise source.bad("format", f"1 to {FORMAT}", str(format)[:40])
    source.format = format
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
            whole=_flag(found.get("whole", False)),
            last_sha256=_text(found.get("last_sha256", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise source.bad("header", f"the fields of format {source.format}", repr(error)) from None
    if len(header.tables) > source.limits.tables:
        raise source.bad("tables", f"at most {source.limits.tables}", len(header.tables))
    if len({table.table for table in header.tables}) != len(header.tables):
        raise source.bad("tables", "each once", [table.table for table in header.tables])
    for table in header.tables:
        if len(table.columns) > source.limits.columns:
            raise source.bad("columns", f"at most {source.limits.columns}", len(table.columns))
        if len(set(table.columns)) != len(table.columns) or not table.columns:
            raise source.bad(f"columns of {table.table}", "different names", table.columns)
    if not (header.first_seq == 0 if header.whole else 0 < header.first_seq <= header.seq):
        found_range = (header.first_seq, header.seq)
        raise source.bad("sequence", "0 < first_seq <= seq, or whole from 0", found_range)
    if not _HEX64.fullmatch(header.prev_sha256):
        raise source.bad("prev_sha256", "64 hexadecimal digits", header.prev_sha256[:80])
    if header.whole and not _HEX64.fullmatch(header.last_sha256):
        raise source.bad("last_sha256", "64 hexadecimal digits", header.last_sha256[:80])
    return header


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise ValueError(f"{str(value)[:40]!r} is no short text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{str(value)[:40]!r} is neither true nor false")
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
        additive=tuple(_text(name) for name in found.get("additive", ())),
    )


def _trailer(source: Source, header: Header) -> None:
    trailer = source.object(source.line(1000, "trailer"), "trailer")
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
