"""Something the hangar has to do for an aircraft."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base
from common.uuid7 import uuid7

__all__ = ["Work"]


class Work(Base):
    """One piece of work, from queued to done or failed, with the reason in words."""

    __tablename__ = "work"
    __table_args__ = (
        CheckConstraint("state in ('queued', 'running', 'done', 'failed')", name="state"),
        Index("ix_work_aircraft_queued_at", "aircraft", "queued_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    aircraft: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'queued'"), default="queued")
    reason: Mapped[str] = mapped_column(server_default=text("''"), default="")
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"), default=dict)
