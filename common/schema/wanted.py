"""What an aircraft that was out of reach is to become when it is heard again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Wanted"]


class Wanted(Base):
    """The configuration that waits for one aircraft; a newer one takes its place."""

    __tablename__ = "wanted"

    aircraft: Mapped[str] = mapped_column(
        ForeignKey("aircraft.name", ondelete="CASCADE"), primary_key=True
    )
    configuration: Mapped[str] = mapped_column(ForeignKey("configuration.digest"), index=True)
    operator: Mapped[str]
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    failed: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    reason: Mapped[str] = mapped_column(server_default=text("''"), default="")
