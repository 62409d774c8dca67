"""A row of a change-set that the database here would not take, kept until something becomes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Quarantine"]


class Quarantine(Base):
    """One row as it came: each column's value as text, null where it is null.

    `key` is text because what is wrong with a row may be its key. `op` is U for a row that was to be
    written, D for one that was to go. `decided_by` is who ended its being open: an operator, or
    `sync` where it was applied or a later row took its place.
    """

    __tablename__ = "quarantine"
    __table_args__ = (
        CheckConstraint("op in ('U', 'D')", name="op"),
        CheckConstraint("state in ('open', 'superseded', 'resolved', 'dropped')", name="state"),
        Index("ix_quarantine_open", "peer", "stream", postgresql_where=text("state = 'open'")),
        {"schema": "sync"},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    peer: Mapped[str]
    stream: Mapped[str]
    epoch: Mapped[UUID]
    seq: Mapped[int]
    tbl: Mapped[str]
    key: Mapped[str]
    op: Mapped[str]
    row: Mapped[dict[str, Any]]
    sqlstate: Mapped[str]
    error: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("1"))
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    tried_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(server_default=text("''"))
    reason: Mapped[str] = mapped_column(server_default=text("''"))
