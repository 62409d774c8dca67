"""Rows in the text format of COPY, made of the columns that a change-set has.

A group of the file is held as it lies there, and of its values those of one row at a time: each is an object
of its own, and a million that are empty would take a hundred times what they take in the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sync.changeset import Block

__all__ = ["Rows"]

AT_ONCE = 2**16  # bytes


class Rows:
    """Rows of some columns; what psycopg2 reads from.

    Arguments: `blocks` are those of whole groups, in file order, `sent` the columns of a group, and `wanted`
    those that a row has here, in their order.
    """

    def __init__(self, blocks: Iterable[Block], sent: Sequence[str], wanted: Sequence[str]) -> None:
        self._blocks, self._sent, self._wanted = iter(blocks), sent, wanted
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
        breaks = len(self._wanted) - 1
        while columns := self._group():
            for row in zip(*columns, strict=True):
                # Each value has the line feed that stood after it in its column.
                yield b"".join(row).replace(b"\n", b"\t", breaks)

    def _group(self) -> list[io.BytesIO]:
        blocks = zip(self._sent, islice(self._blocks, len(self._sent)), strict=False)
        # Those that are not wanted go while the others are read.
        group = {name: io.BytesIO(block.data) for name, block in blocks if name in self._wanted}
        return [group[name] for name in self._wanted if group]
