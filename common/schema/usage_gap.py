"""What is missing in the statistics, and that it is."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["UsageGap"]


class UsageGap(Base):
    """Usage events that were removed unsent, because the aircraft's disk was full: how many, and of when."""

    __tablename__ = "usage_gap"
    __table_args__ = (CheckConstraint("events > 0 and first_at <= last_at", name="events"),)
    __sync__ = Sync(stream="use", direction="up", mode="append", rank=2, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    events: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    aircraft: Mapped[str]
