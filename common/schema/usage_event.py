"""What passengers did, for the statistics."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["UsageEvent"]


class UsageEvent(Base):
    """One thing that happened (`play`, `open`, …); it may outlive the user and item it names."""

    __tablename__ = "usage_event"
    # Whoever is erased at the hangar is taken out of it.
    __table_args__ = (
        Index("ix_usage_event_user_id", "user_id", postgresql_where=text("user_id is not null")),
    )
    __sync__ = Sync(stream="use", direction="up", mode="append", rank=0, retention="statistic")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID | None]
    item_id: Mapped[UUID | None]
    kind: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"), default=dict)
    aircraft: Mapped[str]
    flight: Mapped[str] = mapped_column(server_default=text("''"), default="")
