"""Something a passenger can open: a film or a newspaper."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["Item"]


class Item(Base):
    """One entry of the catalogue; empty `airlines` or `destinations` means all of them."""

    __tablename__ = "item"
    __table_args__ = (CheckConstraint("kind in ('film', 'newspaper')", name="kind"),)
    __sync__ = Sync(stream="cat", direction="down", mode="state", rank=0, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str]
    title: Mapped[dict[str, str]]
    summary: Mapped[dict[str, str]] = mapped_column(server_default=text("'{}'"), default=dict)
    languages: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)
    airlines: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)
    destinations: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)
    # The smaller the number, the earlier its files travel.
    priority: Mapped[int] = mapped_column(server_default=text("100"), default=100)
    valid_from: Mapped[datetime | None]
    valid_to: Mapped[datetime | None]
    published: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
