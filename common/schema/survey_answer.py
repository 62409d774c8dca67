"""What a passenger answered."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base, Sync
from common.uuid7 import uuid7

__all__ = ["SurveyAnswer"]


class SurveyAnswer(Base):
    """One answer; no foreign keys, because the hangar may have withdrawn the survey meanwhile."""

    __tablename__ = "survey_answer"
    # Whoever is erased at the hangar is taken out of it.
    __table_args__ = (
        Index("ix_survey_answer_user_id", "user_id", postgresql_where=text("user_id is not null")),
    )
    __sync__ = Sync(stream="use", direction="up", mode="append", rank=1, retention="record")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    survey_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID | None]
    choice: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    aircraft: Mapped[str]
