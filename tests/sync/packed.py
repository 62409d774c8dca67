"""A sender that is only files: change-sets written by hand into a receiver's inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from common import migrate
from sync import changeset, files
from tests.sync.ends import End


@dataclass(frozen=True)
class Rows:
    """One table's rows, as text; None is null. `gone` are the keys of those that went."""

    table: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]] = ()
    gone: Sequence[object] = ()
    additive: tuple[str, ...] = ()


@dataclass
class Packer:
    """Numbers and chains what it writes, as `sync.seal` does."""

    to: End
    node: str
    stream: str
    schema: str = field(default_factory=migrate.head)
    epoch: UUID = field(default_factory=uuid4)
    seq: int = 0
    prev: str = changeset.GENESIS

    def send(self, *tables: Rows) -> Path:
        """Write the next change-set; returns where it lies."""
        self.seq += 1
        path = files.inbox(self.to.settings, self.node) / self.stream
        path = path / files.epoch8(self.epoch) / changeset.file_name(self.seq)
        path.parent.mkdir(parents=True, exist_ok=True)
        header = changeset.Header(
            stream=self.stream,
            epoch=str(self.epoch),
            seq=self.seq,
            first_seq=self.seq,
            prev_sha256=self.prev,
            schema=self.schema,
            node=self.node,
            created="2026-11-26T08:00:00+00:00",
            tables=tuple(
                changeset.Table(
                    one.table, tuple(one.columns), len(one.rows), len(one.gone), one.additive
                )
                for one in tables
            ),
        )
        upserts = [[_block(column) for column in zip(*one.rows, strict=True)] for one in tables]
        deletes = [_block(one.gone) for one in reversed(tables)]
        with path.open("wb") as out:
            self.prev, _ = changeset.write(out, header, upserts, deletes)
        return path


def blocks_of(path: Path) -> list[changeset.Block]:
    """Read all blocks of a change-set."""
    with path.open("rb") as file:
        return [one for one in changeset.read(file, path.name) if isinstance(one, changeset.Block)]


def values_of(block: changeset.Block) -> list[bytes]:
    """Take a block apart; the values are still escaped for COPY."""
    return block.data.split(b"\n")[:-1]


def _block(values: Sequence[object]) -> bytes:
    return "".join("\\N\n" if value is None else f"{value}\n" for value in values).encode()
