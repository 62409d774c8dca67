"""Edits made by a clock that was ahead."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync

__all__ = ["UserClamp"]


class UserClamp(Base):
    """The `user_event` `id` counts as of `reading`, when the hangar received it, at both ends.

    It is decided once, and only for the few whose own reading was later than that.
    """

    __tablename__ = "user_clamp"
    __sync__ = Sync(stream="usr", direction="down", mode="state", rank=2, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True)
    reading: Mapped[int]
