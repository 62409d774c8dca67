"""The change-set file: what is written is read, and anything else is refused by name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import changeset
from sync.changeset import (
    GENESIS,
    BadChangeSet,
    Block,
    Header,
    Limits,
    Table,
    file_name,
    sequence,
    write,
)

EVENTS = Table("usage_event", ("id", "kind"), upserts=2, deletes=0)
ITEMS = Table("item", ("id",), upserts=0, deletes=1)
HEADER = Header(
    stream="use",
    epoch="e" * 36,
    seq=3,
    first_seq=3,
    prev_sha256=GENESIS,
    schema="0001",
    node="EC-TAA",
    created="2026-11-23T12:00:00+00:00",
    tables=(EVENTS, ITEMS),
)


def make(path: Path, header: Header = HEADER) -> tuple[str, int]:
    with path.open("wb") as out:
        return write(out, header, [[b"1\n2\n", b"play\n\\N\n"], []], [b"9\n", b""])


def check(path: Path, limits: Limits | None = None) -> tuple[Header, str]:
    with path.open("rb") as file:
        return changeset.check(file, path.name, limits or Limits())


def read(path: Path) -> list[Header | Block]:
    with path.open("rb") as file:
        return list(changeset.read(file, path.name))


def packed(path: Path, *lines: bytes) -> Path:
    path.write_bytes(zstd.compress(b"".join(lines)))
    return path


def plain_header(**changes: object) -> bytes:
    fields = {
        "format": 1,
        "stream": "use",
        "epoch": "e",
        "seq": 1,
        "first_seq": 1,
        "prev_sha256": GENESIS,
        "schema": "0001",
        "node": "n",
        "created": "c",
        "tables": [],
    }
    return json.dumps(fields | changes).encode() + b"\n"


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / file_name(3)
    make(path)
    assert read(path) == [
        HEADER,
        Block(EVENTS, "id", b"1\n2\n"),
        Block(EVENTS, "kind", b"play\n\\N\n"),
        Block(ITEMS, None, b"9\n"),
    ]


def test_a_change_set_is_known_by_the_hash_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / file_name(3)
    written = make(path)
    data = path.read_bytes()
    assert written == (hashlib.sha256(data).hexdigest(), len(data))
    assert check(path) == (HEADER, written[0])


@settings(max_examples=150, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_altered_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, position: float, flip: int
) -> None:
    path = tmp_path_factory.mktemp("altered") / file_name(3)
    make(path)
    good = read(path)
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= flip
    path.write_bytes(data)
    try:
        found = read(path)
    except BadChangeSet as error:
        assert path.name in str(error)
    else:
        # A few bits of the frame's own header mean nothing for the content.
        assert found == good


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_rubbish_is_refused_and_never_anything_else_happens(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("rubbish") / file_name(1)
    for content in (data, zstd.compress(data), zstd.compress(plain_header() + data)):
        path.write_bytes(content)
        with pytest.raises(BadChangeSet):
            check(path)


@pytest.mark.parametrize("keep", [0, 1, 30, -1])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / file_name(3)
    make(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadChangeSet):
        check(path)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((plain_header(format=3),), "format: expected 1 to 2, found 3"),
        ((plain_header(seq=0),), "sequence: expected 0 < first_seq <= seq"),
        ((plain_header(seq="1"),), "header"),
        ((plain_header(prev_sha256="x"),), "prev_sha256"),
        ((plain_header(tables=[{"table": "t"}]),), "header"),
        ((b"[]\n",), "a JSON object"),
        ((b"x" * 70_000 + b"\n",), "header: expected a line of at most 65536 bytes"),
        ((plain_header(), b'{"upserts": 1, "deletes": 0}\n'), "trailer's upserts"),
        ((plain_header(), b'{"upserts": 0, "deletes": 0, "sha256": "00"}\n'), "trailer's sha256"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, lines: tuple[bytes, ...], reason: str) -> None:
    path = packed(tmp_path / file_name(1), *lines)
    with pytest.raises(BadChangeSet) as caught:
        check(path)
    assert str(caught.value).startswith("000000000001.cs: ")
    assert reason in str(caught.value)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused_early(tmp_path: Path) -> None:
    table = {"table": "t", "columns": ["c"], "upserts": 1, "deletes": 0}
    bomb = plain_header(tables=[table]) + b"16000000\n" + b"0" * 15_999_999 + b"\n"
    path = packed(tmp_path / file_name(1), bomb)
    assert path.stat().st_size < 10_000
    with pytest.raises(BadChangeSet, match="length of a block: expected at most 1000"):
        check(path, Limits(block=1000))
    with pytest.raises(BadChangeSet, match="unpacked size: expected at most 1000 bytes"):
        check(path, Limits(total=1000))


def table_of(path: Path, format: int, columns: int, rows: int) -> Path:
    """A file of one table whose values are all empty."""
    table = {"table": "t", "columns": [*"abcdefghij"[:columns]], "upserts": rows, "deletes": 0}
    head = b"%d\n" % rows if format == 1 else b"%d %d\n" % (rows, rows)
    plain = plain_header(format=format, tables=[table]) + (head + b"\n" * rows) * columns
    trailer = {"upserts": rows, "deletes": 0, "sha256": hashlib.sha256(plain).hexdigest()}
    return packed(path, plain, json.dumps(trailer).encode() + b"\n")


def test_a_small_file_of_a_million_empty_rows_is_refused(tmp_path: Path) -> None:
    path = table_of(tmp_path / file_name(1), 2, 8, 1_000_000)
    assert path.stat().st_size < 1000
    with pytest.raises(BadChangeSet, match="values in a block: expected 1 to 65536, found 1000000"):
        check(path)
    check(table_of(path, 2, 8, 65_536))


@pytest.mark.parametrize("format", [1, 2])
def test_a_group_of_too_many_bytes_is_refused_whatever_its_columns(
    tmp_path: Path, format: int
) -> None:
    path = table_of(tmp_path / file_name(1), format, 8, 1000)
    check(path, Limits(block=1000, group=8000))
    with pytest.raises(BadChangeSet, match="bytes of a group: expected at most 7999, found 8000"):
        check(path, Limits(block=1000, group=7999))


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / file_name(3)
    make(path)
    with pytest.raises(BadChangeSet, match="size in bytes: expected at most 10"):
        check(path, Limits(file=10))


def test_a_block_with_too_few_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / file_name(3)
    make(path, replace(HEADER, tables=(replace(EVENTS, upserts=3), ITEMS)))
    with pytest.raises(BadChangeSet, match="head of a block: expected one of format 2"):
        check(path)


def test_names_sort_as_numbers_do() -> None:
    names = [file_name(seq) for seq in (1, 9, 10, 123456)]
    assert names == sorted(names)
    assert [sequence(name) for name in names] == [1, 9, 10, 123456]
    assert [sequence(name) for name in ("1.cs", ".000000000001.cs.AbC123", "x")] == [None] * 3
