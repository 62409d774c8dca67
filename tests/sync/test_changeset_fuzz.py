"""Whatever a file holds, reading it gives a change-set or says what is wrong, in bounded memory."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict
from io import BufferedReader
from typing import Any, cast

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import changeset
from sync.changeset import GENESIS, BadChangeSet, Block, Header, Limits, Table, Writer
from tests.sync.packed import values_of

SMALL = Limits(
    file=2**20, header=2**13, block=2**16, values=2**12, group=2**17, total=2**18, blocks=500
)
# A block as it came, unpacked, and looked at; what a decoder holds is beyond Python's books.
MEMORY = 8 * SMALL.block

Rows = list[list[bytes]]

names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
words = st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"").replace(b"\t", b""))
keys = st.uuids(version=4).map(lambda key: str(key).encode())


def column_of(rows: int) -> st.SearchStrategy[list[bytes]]:
    return st.one_of(st.lists(one, min_size=rows, max_size=rows) for one in (words, keys))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, list[Rows], list[list[bytes]]]:
    columns = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    sizes = draw(st.lists(st.integers(1, 20), max_size=3))
    groups = [[draw(column_of(rows)) for _ in columns] for rows in sizes]
    gone = [draw(column_of(rows)) for rows in draw(st.lists(st.integers(1, 20), max_size=2))]
    table = Table(draw(names), tuple(columns), sum(sizes), sum(map(len, gone)))
    return table, groups, gone


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, Header, list[Rows]]:
    """A whole file, its header, and its groups in the order they stand in it."""
    parts = draw(st.lists(tables(), max_size=3, unique_by=lambda part: part[0].table))
    header = Header(
        "use", "e" * 36, 3, 3, GENESIS, "0001", "EC-TAA", "c", tuple(part[0] for part in parts)
    )
    groups = [group for part in parts for group in part[1]]
    groups += [[keys] for part in reversed(parts) for keys in part[2]]
    out = io.BytesIO()
    writer = Writer(out, header)
    for group in groups:
        writer.group(group)
    writer.end()
    return out.getvalue(), header, groups


def read(data: bytes, limits: Limits = SMALL) -> list[Header | Block]:
    with io.BytesIO(data) as file:
        return list(changeset.read(cast("BufferedReader", file), "x.cs", limits))


def refused_or_whole(data: bytes) -> bool:
    """Whether it was read; anything but a change-set or its refusal fails here, and so does greed."""
    tracemalloc.start()
    try:
        with io.BytesIO(data) as file:
            for _ in changeset.read(cast("BufferedReader", file), "x.cs", SMALL):
                pass
            return True
    except BadChangeSet as error:
        assert str(error).startswith("x.cs: ")
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY


def resealed(plain: bytes) -> bytes:
    """Pack content with a trailer that is right for it as far as the writer of it could know."""
    body, _, trailer = plain.removesuffix(b"\n").rpartition(b"\n")
    try:
        told = json.loads(trailer)
        told["sha256"] = hashlib.sha256(body + b"\n").hexdigest()
        trailer = json.dumps(told).encode()
    except (ValueError, TypeError, RecursionError):
        pass
    return zstd.compress(body + b"\n" + trailer + b"\n")


@settings(max_examples=30, deadline=None)
@given(files())
def test_what_is_written_is_read(made: tuple[bytes, Header, list[Rows]]) -> None:
    data, header, groups = made
    found, *blocks = read(data)
    assert found == header
    assert [values_of(block) for block in blocks if isinstance(block, Block)] == [
        column for group in groups for column in group
    ]


@settings(max_examples=30, deadline=None)
@given(files(), st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_refused(
    made: tuple[bytes, Header, list[Rows]], where: float
) -> None:
    assert not refused_or_whole(made[0][: int(where * len(made[0]))])


edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 12),
        st.one_of(st.binary(max_size=8), st.sampled_from([b"\t", b"\n", b"9" * 19, b"-1", b"0 "])),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(files(), edits, st.booleans())
def test_altered_content_is_refused_unless_it_is_a_change_set_again(
    made: tuple[bytes, Header, list[Rows]], changes: list[tuple[float, int, bytes]], told: bool
) -> None:
    plain = zstd.decompress(made[0])
    for where, length, instead in changes:
        at = int(where * len(plain))
        plain = plain[:at] + instead + plain[at + length :]
    data = resealed(plain) if told else zstd.compress(plain)
    if refused_or_whole(data):
        header, *blocks = read(data)
        assert isinstance(header, Header)
        count = sum(
            len(values_of(block))
            for block in blocks
            if isinstance(block, Block) and block.column in (None, block.table.columns[0])
        )
        assert count == sum(table.upserts + table.deletes for table in header.tables)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=6,
    ),
    st.sampled_from([*asdict(Header("", "", 1, 1, "", "", "", "", ())), "format"]),
)
def test_a_header_may_say_anything(value: Any, field: str) -> None:
    fields = {"format": 2, **asdict(Header("use", "e", 1, 1, GENESIS, "1", "n", "c", ()))}
    refused_or_whole(resealed(json.dumps(fields | {field: value}).encode() + b"\n{}\n"))


def header_of(columns: list[str], upserts: int, deletes: int = 0) -> bytes:
    table = {"table": "t", "columns": columns, "upserts": upserts, "deletes": deletes}
    fields = asdict(Header("use", "e", 1, 1, GENESIS, "1", "n", "c", ()))
    return json.dumps({"format": 2, **fields, "tables": [table]}).encode() + b"\n"


def packed_in_turns(parts: Iterator[bytes]) -> bytes:
    compressor = zstd.ZstdCompressor()
    return b"".join([*(compressor.compress(part) for part in parts), compressor.flush()])


BOMBS: dict[str, Callable[[], bytes]] = {
    "a long header": lambda: zstd.compress(b"{" * 50_000_000),
    "a deep header": lambda: zstd.compress(b"[" * 8000 + b"\n"),
    "a long number": lambda: zstd.compress(b'{"format":' + b"9" * 8000 + b"}\n"),
    "a long block": lambda: zstd.compress(
        header_of(["c"], 1) + b"1 50000000\n" + b"0" * 50_000_000
    ),
    "a block that says it is short": lambda: zstd.compress(
        header_of(["c"], 1) + b"1 5\n" + b"0" * 50_000_000
    ),
    "many blocks": lambda: packed_in_turns(
        part
        for number in range(2000)
        for part in ([header_of(["c"], 2000)] if not number else [])
        + [b"1 60000\n" + b"0" * 59_999 + b"\n"]
    ),
    "a template for many": lambda: zstd.compress(
        header_of(["c"], 10**15) + b"1000000000000000 0 " + b"0" * 100 + b"\n"
    ),
    "a long template": lambda: zstd.compress(header_of(["c"], 9) + b"9 0 " + b"0" * 50_000_000),
    "many places": lambda: zstd.compress(
        header_of(["c"], 9) + b"9 4000000000 " + b"\t" * 4000 + b"\n"
    ),
    "many values": lambda: zstd.compress(
        header_of(["c"], 10**9) + (b"50000 50000\n" + b"\n" * 50_000) * 5
    ),
    "many long columns": lambda: zstd.compress(
        header_of([*"abc"], 1) + (b"1 60000\n" + b"0" * 59_999 + b"\n") * 3
    ),
    "many frames": lambda: zstd.compress(b"") * 20_000,
    "endless keys": lambda: zstd.compress(header_of(["c"], 0, 10**15) + b"1 2\n0\n" * 10**6),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused_in_bounded_memory(bomb: str) -> None:
    data = BOMBS[bomb]()
    assert len(data) < SMALL.file
    assert not refused_or_whole(data)


def test_a_window_that_needs_much_memory_is_refused() -> None:
    options = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    assert not refused_or_whole(compressor.compress(b"0" * 1000) + compressor.flush())


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        (b"0 0\n", "values in a block: expected 1 to 4, found 0"),
        (b"5 10\n1\n2\n3\n4\n5\n", "values in a block: expected 1 to 4, found 5"),
        (b"2 4\n1\n2\n3 6\n1\n2\n3\n", "values in a block: expected 1 to 2, found 3"),
        (b"2 4\n1\n2\n1 2\n1\n", "values in a block: expected 2, found 1"),
        (b"4 8\n1\n2\n3\n4 \n", "values in a block: expected 4, found 3"),
        (b"4 11\n1\n2\n3\n4\n\\\t\n", "values in a block: expected 4, found 5"),
        (b"2 5\n1\t\n2\n", "tabs escaped"),
        (b"4\n1\n2\n", "head of a block: expected one of format 2"),
        (b"4 2 a\t\t\n\0\0", "a packed block: expected digits for its template"),
        (b"4 4 a\t\n\0\0", "a block: expected 4 bytes"),
    ],
)
def test_a_group_that_does_not_add_up_is_refused(blocks: bytes, reason: str) -> None:
    with pytest.raises(BadChangeSet, match=reason):
        read(zstd.compress(header_of(["a", "b"], 4) + blocks))


def test_the_former_format_is_read() -> None:
    header = json.loads(header_of(["a", "b"], 2, 1)) | {"format": 1}
    plain = json.dumps(header).encode() + b"\n4\n1\n2\n8\nplay\n\\N\n2\n9\n"
    trailer = {"upserts": 2, "deletes": 1, "sha256": hashlib.sha256(plain).hexdigest()}
    _, *blocks = read(zstd.compress(plain + json.dumps(trailer).encode() + b"\n"))
    assert [block.data for block in blocks if isinstance(block, Block)] == [
        b"1\n2\n",
        b"play\n\\N\n",
        b"9\n",
    ]
