"""What an aircraft said of itself, kept for the fleet page's history."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base
from common.uuid7 import uuid7

__all__ = ["Heartbeat"]


class Heartbeat(Base):
    """One heartbeat as it was received."""

    __tablename__ = "heartbeat"
    __table_args__ = (Index("ix_heartbeat_aircraft_received_at", "aircraft", "received_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    aircraft: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    body: Mapped[dict[str, Any]]
