"""Money that was taken or given back aboard."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["Payment"]


class Payment(Base):
    """One charge or refund of an order, in the currency's minor unit (ISO 4217: 1250 EUR is € 12.50)."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("kind in ('charge', 'refund')", name="kind"),
        CheckConstraint("amount_minor > 0", name="amount_minor"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    )
    __sync__ = Sync(stream="pay", direction="up", mode="append", rank=0, retention="payment")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID | None]
    kind: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(CHAR(3))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    aircraft: Mapped[str]
    flight: Mapped[str] = mapped_column(server_default=text("''"), default="")
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"), default=dict)
