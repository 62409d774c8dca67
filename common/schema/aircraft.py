"""An aircraft as the hangar sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Aircraft"]


class Aircraft(Base):
    """One aircraft: what the inventory says of it, and the last heartbeat it sent.

    Empty `destinations` means that its routes are not known, empty `languages` that it carries all.
    `landings` counts the first heartbeat on the ground after one aloft, or after ten minutes without
    one on the ground; `grounded_at` is when the last one on the ground came.
    """

    __tablename__ = "aircraft"

    name: Mapped[str] = mapped_column(primary_key=True)
    tower: Mapped[str] = mapped_column(unique=True)
    airline: Mapped[str] = mapped_column(server_default=text("''"), default="")
    destinations: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)
    languages: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)
    last_seen: Mapped[datetime | None]
    last_body: Mapped[dict[str, Any] | None]
    landings: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    grounded_at: Mapped[datetime | None]
