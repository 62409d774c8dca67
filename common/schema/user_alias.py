"""Accounts that turned out to be one person's."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync

__all__ = ["UserAlias"]


class UserAlias(Base):
    """The account `id` is the account `canonical`, which is no alias itself."""

    __tablename__ = "user_alias"
    __sync__ = Sync(stream="usr", direction="down", mode="state", rank=1, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True)
    canonical: Mapped[UUID] = mapped_column(index=True)
