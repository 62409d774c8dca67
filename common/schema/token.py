"""A passenger's proof of having logged in; it stays on the aircraft that issued it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["Token"]


class Token(Base):
    """One token: only its SHA-256 is kept, so a stolen database opens no account.

    `secret` is the SHA-256 of the account's password hash when it was issued: it ends with that password.
    """

    __tablename__ = "token"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen: Mapped[datetime] = mapped_column(server_default=func.now())
