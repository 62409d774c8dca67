"""A passenger's account as the hangar has settled it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync

__all__ = ["AppUser"]


class AppUser(Base):
    """The canonical user; aboard, `effective_user` adds the edits that the hangar has not seen yet.

    `clocks` holds, for each field, the edit that won it: its reading of the clock as it counts, the
    aircraft, and the reading that the aircraft gave it, so that both ends can tell which of two edits
    is the later one. `erased` wins over all of them: the row stays as a tombstone.
    """

    __tablename__ = "app_user"
    # Not unique: two aircraft may register one address while both are off-line.
    __table_args__ = (
        Index("ix_app_user_lower_email", text("lower(email)")),
        Index("ix_app_user_erased", "id", postgresql_where=text("erased")),
    )
    __sync__ = Sync(stream="usr", direction="down", mode="state", rank=0, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(server_default=text("''"), default="")
    name: Mapped[str] = mapped_column(server_default=text("''"), default="")
    language: Mapped[str] = mapped_column(server_default=text("''"), default="")
    password_hash: Mapped[str] = mapped_column(server_default=text("''"), default="")
    version: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    clocks: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"), default=dict)
    erased: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
