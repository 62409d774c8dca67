"""Rows in the text format of COPY, made of the columns that a change-set has.

A group of the file is held as it lies there, and of its values those of one row at a time: each is an object
of its own, and a million that are empty would take a hundred times what they take in the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice

from sync.changeset import Block

__all__ = ["Rows"]

AT_ONCE = 2**16  # bytes


class Rows:
    """Rows as they were sent; what psycopg2 reads from.

    Arguments: `blocks` are those of whole groups, in file order, and `width` is how many columns a group has.
    """

    def __init__(self, blocks: Iterable[Block], width: int) -> None:
        self._blocks, self._width = iter(blocks), width
        self._rows = self._all()

    def read(self, size: int) -> bytes:
        """Return some whole rows, however many bytes were asked for; nothing at the end."""
        rows, given = [], 0
        for row in self._rows:
            rows.append(row)
            given += len(row)
            if given >= AT_ONCE:
                break
        return b"".join(rows)

    def _all(self) -> Iterator[bytes]:
        while columns := [io.BytesIO(one.data) for one in islice(self._blocks, self._width)]:
            for row in zip(*columns, strict=True):
                # Each value has the line feed that stood after it in its column.
                yield b"".join(row).replace(b"\n", b"\t", self._width - 1)
