"""What a receiver waits for: streams that stand still, and columns that it could not take in yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Held", "Need"]


class Held(Base):
    """A stream that stands still here, and why.

    `waiting_schema` goes on by itself after the next migration; `stopped` needs a look; `diverged` ends
    with the new history that the other end is asked to begin.
    """

    __tablename__ = "held"
    __table_args__ = (
        CheckConstraint("state in ('waiting_schema', 'stopped', 'diverged')", name="state"),
        {"schema": "sync"},
    )

    peer: Mapped[str] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    why: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=func.now())


class Need(Base):
    """Columns of a table that a newer peer sent and the schema here had no place for."""

    __tablename__ = "need"
    __table_args__ = {"schema": "sync"}  # noqa: RUF012

    peer: Mapped[str] = mapped_column(primary_key=True)
    tbl: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    columns: Mapped[list[str]]
    since: Mapped[datetime] = mapped_column(server_default=func.now())
