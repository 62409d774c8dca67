"""An edit of a passenger's account, made aboard."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["USER_FIELDS", "UserEvent"]

USER_FIELDS = ("email", "name", "language", "password_hash")


class UserEvent(Base):
    """One field of one user was set to `value` at the hybrid clock's reading `hlc`."""

    __tablename__ = "user_event"
    __table_args__ = (
        CheckConstraint("field in ('email', 'name', 'language', 'password_hash')", name="field"),
        CheckConstraint("jsonb_typeof(value) = 'string'", name="value"),
        Index("ix_user_event_user_id_field_hlc", "user_id", "field", "hlc"),
        Index(
            "ix_user_event_email",
            text("lower(value #>> '{}')"),
            postgresql_where=text("field = 'email'"),
        ),
    )
    __sync__ = Sync(stream="usr", direction="up", mode="append", rank=0, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID]
    field: Mapped[str]
    value: Mapped[Any]
    hlc: Mapped[int]
    aircraft: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
