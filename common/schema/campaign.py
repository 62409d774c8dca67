"""A release on its way to a fleet, wave by wave, for weeks."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base
from common.uuid7 import uuid7

__all__ = ["Campaign"]


class Campaign(Base):
    """One campaign: what it brings, by which plan, and how far it is.

    `plan` is `fleet.campaign_plan.Plan`; `wave` is the number of the last open one, the first is 0;
    `excused` is how many failures ops have seen and borne when they let it go on.
    """

    __tablename__ = "campaign"
    __table_args__ = (
        CheckConstraint("state in ('running', 'paused', 'aborted', 'closed')", name="state"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    version: Mapped[str]
    operator: Mapped[str]
    plan: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(server_default=text("'running'"), default="running")
    reason: Mapped[str] = mapped_column(server_default=text("''"), default="")
    wave: Mapped[int] = mapped_column(server_default=text("-1"), default=-1)
    excused: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
