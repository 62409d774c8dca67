"""What a campaign has for one aircraft, and what became of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from common.schema.base import Base

__all__ = ["CampaignAircraft"]


class CampaignAircraft(Base):
    """One aircraft of a campaign.

    `wave` is None until its wave is open; it is offered then: `former` is what it had at that time ("" is
    no release, None is not known). `attempts` counts calls, `landings` the landings that it was called in
    since it was offered, of which `landed` is the number of the last; `work` is the row of `work` that
    called it last.
    """

    __tablename__ = "campaign_aircraft"
    __table_args__ = (
        CheckConstraint(
            "state in ('pending', 'confirmed', 'failed', 'left', 'returning', 'rolled_back')",
            name="state",
        ),
    )

    campaign: Mapped[UUID] = mapped_column(
        ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True
    )
    aircraft: Mapped[str] = mapped_column(
        ForeignKey("aircraft.name", ondelete="CASCADE"), primary_key=True, index=True
    )
    wave: Mapped[int | None]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"), default="pending")
    reason: Mapped[str] = mapped_column(server_default=text("''"), default="")
    former: Mapped[str | None]
    offered_at: Mapped[datetime | None]
    landed: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    landings: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    attempts: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    work: Mapped[UUID | None]
    ended_at: Mapped[datetime | None]
