"""A question with choices, asked aboard."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["Survey"]


class Survey(Base):
    """One question in several languages; an answer names a choice by its position from 0."""

    __tablename__ = "survey"
    __sync__ = Sync(stream="cat", direction="down", mode="state", rank=2, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    question: Mapped[dict[str, str]]
    choices: Mapped[list[dict[str, str]]]
    published: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
