"""What happened to a passenger's account aboard."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.schema.user_field import USER_EVENTS
from common.uuid7 import uuid7

__all__ = ["UserEvent"]

_KINDS = ", ".join(f"'{name}'" for name in USER_EVENTS)
_VALUE = (
    "case field when 'consent' then jsonb_typeof(value) = 'object' "
    "and (jsonb_typeof(value -> 'purpose'), jsonb_typeof(value -> 'given'), "
    "jsonb_typeof(value -> 'after')) is not distinct from ('string', 'boolean', 'array') "
    # Of JSON's null the text is SQL's, which a check lets pass.
    "when 'same' then jsonb_typeof(value) = 'string' "
    "and value #>> '{}' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' "
    "else jsonb_typeof(value) = 'string' end"
)


class UserEvent(Base):
    """One field of one user was set to `value` at the hybrid clock's reading `hlc`.

    Three are no fields: `consent` (`{"purpose", "given", "after"}`, see `common.consents`), `same` (the
    other account's id) and `erase` (empty).
    """

    __tablename__ = "user_event"
    __table_args__ = (
        CheckConstraint(f"field in ({_KINDS})", name="field"),
        CheckConstraint(_VALUE, name="value"),
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
