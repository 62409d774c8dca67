"""How the hangar settled what contradicted itself in passengers' accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base
from common.uuid7 import uuid7

__all__ = ["UserMergeLog"]


class UserMergeLog(Base):
    """One decision: which side won by which rule. Sides are readings of clocks or ids, never values."""

    __tablename__ = "user_merge_log"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    rule: Mapped[str]
    field: Mapped[str]
    winner: Mapped[str]
    loser: Mapped[str]
