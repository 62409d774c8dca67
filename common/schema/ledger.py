"""The synchronisation's own books (PostgreSQL schema `sync`): the same tables at both ends."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Applied", "Batch", "Cursor", "Dirty", "Epoch", "Snapshot"]

SCHEMA = "sync"
GENESIS = "0" * 64


class Epoch(Base):
    """The history that a stream sent from here belongs to; a new one says: forget what you knew.

    `node`, `database` (server and database, as PostgreSQL numbers them) and `timeline` are those that it
    began in: others mean that the database was restored or copied since. `follows` is the history before
    it, and its first change-set follows `base`.
    """

    __tablename__ = "epoch"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012

    stream: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    timeline: Mapped[str | None]
    node: Mapped[str | None]
    database: Mapped[str | None]
    follows: Mapped[UUID | None]
    base: Mapped[str] = mapped_column(server_default=text(f"'{GENESIS}'"))


class Dirty(Base):
    """A row that changed: its key only. `batch` is the batch that claimed it, null until then.

    Whoever changes rows pays for what is recorded, so what is not claimed has no index, not even for `id`.
    """

    __tablename__ = "dirty"
    __table_args__ = (
        Index("ix_dirty_claimed", "stream", "batch", postgresql_where=text("batch is not null")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    stream: Mapped[str]
    tbl: Mapped[str]
    pk: Mapped[UUID]
    batch: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Batch(Base):
    """A change-set sealed here. `seq` has no gaps, so a gap at the other end means loss.

    `left`: its history was left before it was acknowledged. `live`, at the hangar: how many rows the
    stream's tables had.
    """

    __tablename__ = "batch"
    __table_args__ = (
        CheckConstraint("state in ('sealed', 'published', 'acked', 'left')", name="state"),
        {"schema": SCHEMA},
    )

    stream: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    prev_sha256: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int]
    rows: Mapped[int]
    schema_version: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    pushed_at: Mapped[datetime | None]
    acked_at: Mapped[datetime | None]
    live: Mapped[int | None]


class Snapshot(Base):
    """All rows of a stream in one file, which stands for the change-sets up to `seq`."""

    __tablename__ = "snapshot"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012

    stream: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str]
    bytes: Mapped[int]
    rows: Mapped[int]
    schema_version: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Cursor(Base):
    """How far a peer's stream was applied here; locked while a change-set is being applied.

    `former` are the histories that were followed before the present one.
    """

    __tablename__ = "cursor"
    __table_args__ = {"schema": SCHEMA}  # noqa: RUF012

    peer: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID | None]
    seq: Mapped[int] = mapped_column(server_default=text("0"))
    sha256: Mapped[str] = mapped_column(server_default=text("''"))
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    former: Mapped[list[UUID]] = mapped_column(ARRAY(PgUUID), server_default=text("'{}'"))


class Applied(Base):
    """A change-set that was applied here, written in the transaction that wrote its rows.

    `wal` is a place in the WAL after that transaction, in bytes, and is noted after it.
    """

    __tablename__ = "applied"
    __table_args__ = (
        Index("ix_applied_unmarked", "peer", postgresql_where=text("wal is null")),
        {"schema": SCHEMA},
    )

    peer: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sha256: Mapped[str]
    rows: Mapped[int]
    applied_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ms: Mapped[int]
    wal: Mapped[int | None]
