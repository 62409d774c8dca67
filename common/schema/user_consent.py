"""What passengers consented to, and what they withdrew."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync

__all__ = ["UserConsent"]


class UserConsent(Base):
    """One statement, as the `user_event` of the same `id` made it; what holds is `common.consents`.

    A consent names in `after` the withdrawals that were known where it was given.
    """

    __tablename__ = "user_consent"
    __sync__ = Sync(stream="usr", direction="down", mode="state", rank=3, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    purpose: Mapped[str]
    given: Mapped[bool]
    after: Mapped[list[str]]
