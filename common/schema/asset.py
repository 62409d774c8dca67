"""A file that belongs to an item."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["Asset"]


class Asset(Base):
    """One file: where it stands within its item (`hls/master.m3u8`) and its content's SHA-256."""

    __tablename__ = "asset"
    __table_args__ = (
        CheckConstraint("role in ('poster', 'hls', 'document', 'page')", name="role"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("size >= 0", name="size"),
    )
    __sync__ = Sync(stream="cat", direction="down", mode="state", rank=1, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    item_id: Mapped[UUID] = mapped_column(
        ForeignKey("item.id", ondelete="CASCADE", deferrable=True), index=True
    )
    role: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int]
    mime: Mapped[str]
