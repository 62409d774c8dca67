"""Rows made of columns: as COPY reads them, in memory that does not grow with their number."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import asdict
from io import BufferedReader
from typing import Any, cast

import pytest
from backports import zstd
from sqlalchemy import text

from sync import changeset
from sync.changeset import GENESIS, Block, Header, Limits, Table
from sync.rows import Rows
from tests.sync.ends import End

COLUMNS = ("id", "kind", "at", "data", "aircraft", "flight", "user_id", "new")


def blocks(groups: Iterable[list[bytes]], columns: tuple[str, ...] = COLUMNS) -> list[Block]:
    table = Table("usage_event", columns, 0, 0)
    return [
        Block(table, name, data)
        for group in groups
        for name, data in zip(columns, group, strict=True)
    ]


def read(rows: Rows) -> tuple[int, int, int]:
    """How many rows are read, the most bytes that are given at once, and the most that is held in memory."""
    count = most = 0
    tracemalloc.start()
    try:
        while given := rows.read(8192):
            count, most = count + given.count(b"\n"), max(most, len(given))
        return count, most, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_columns_become_rows() -> None:
    made = blocks(
        [[b"1\n2\n", b"a\n\\N\n", b"x\n\n"], [b"3\n", b"\\\\n\n", b"\n"]], ("a", "b", "c")
    )
    rows = Rows(made, 3)
    told = b"1\ta\tx\n2\t\\N\t\n3\t\\\\n\t\n"
    assert [rows.read(1), rows.read(1)] == [told, b""]
    alone = Rows(blocks([[b"a\n\\N\n"], [b"\\\\n\n"]], ("b",)), 1)
    assert alone.read(1) == b"a\n\\N\n\\\\n\n"


@pytest.mark.parametrize(
    ("value", "count"),
    [(b"", 200_000), (b"ab", 65_536), (b"x" * 2**18, 4)],
    ids=["of format 1", "many", "wide"],
)
def test_the_memory_does_not_grow_with_the_rows_of_a_group(value: bytes, count: int) -> None:
    # What lies in the group is there before, and one row is made at a time, of its values.
    made = blocks([[(value + b"\n") * count for _ in COLUMNS]])
    row = len(COLUMNS) * (len(value) + 1)
    found, most, held = read(Rows(made, len(COLUMNS)))
    assert found == count
    assert most < 2**16 + row
    assert held < 2**21 + 5 * row


def test_the_largest_group_there_may_be_is_read_in_64_mib() -> None:
    count, columns = Limits().values, ("id", "kind")
    template = b"a" * (Limits().block // count - 2) + b"\t"
    tables = (Table("usage_event", columns, count, 0),)
    header = asdict(Header("use", "e", 1, 1, GENESIS, "1", "n", "c", tables))
    block = b"%d %d %s\n%s" % (count, count, template, bytes(count))
    plain = json.dumps({"format": 2, **header}).encode() + b"\n" + block * 2
    trailer = {"upserts": count, "deletes": 0, "sha256": hashlib.sha256(plain).hexdigest()}
    data = zstd.compress(plain + json.dumps(trailer).encode() + b"\n")
    assert len(data) < 1000
    with io.BytesIO(data) as file:
        parts = changeset.read(cast("BufferedReader", file), "x.cs")
        next(parts)
        found, _, held = read(Rows(cast("Iterable[Block]", parts), len(columns)))
    assert found == count
    assert Limits().group < held < 64 * 2**20


@pytest.mark.postgres
def test_copy_takes_rows_of_any_length(hangar: End) -> None:
    wide = b"".join(b"%d" % number * 50_000 + b"\n" for number in range(10))
    made = blocks([[b"a\n" * 10, wide], [b"b\n" * 3000, b"\n" * 3000]], ("kind", "data"))
    with hangar.engine.begin() as connection:
        connection.execute(text("create temp table came (kind text, data text) on commit drop"))
        cursor: Any = connection.connection.cursor()
        cursor.copy_expert("copy came from stdin", Rows(made, 2))
        found = connection.execute(
            text("select kind, count(*), max(length(data)) from came group by kind order by kind")
        ).all()
    assert [tuple(row) for row in found] == [("a", 10, 50_000), ("b", 3000, 0)]
