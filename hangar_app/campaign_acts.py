"""What ops change of the aircraft of a campaign whose row is held: statements for `campaign_orders`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from hangar_app.campaign_store import OFFER, Campaign


def go_back(session: Session, one: Campaign, wave: int) -> None:
    """Lets the aircraft of a wave leave the release when they are heard; those that were never called
    are left alone."""
    session.execute(
        text(
            "UPDATE campaign_aircraft SET ended_at = NULL, state = CASE WHEN state = 'pending' "
            "AND attempts = 0 THEN 'left' ELSE 'returning' END, reason = CASE WHEN state = 'pending' "
            "AND attempts = 0 THEN 'its wave was rolled back before' ELSE '' END "
            "WHERE campaign = :id AND wave = :wave AND state IN ('pending', 'confirmed')"
        ),
        {"id": one.id, "wave": wave},
    )


def offer_again(session: Session, one: Campaign, failed: bool, now: datetime) -> None:
    """Begins the deadlines of those pending anew, and offers it to those that failed, too, if asked."""
    session.execute(
        text(
            f"UPDATE campaign_aircraft m SET state = 'pending', ended_at = NULL, {OFFER} "
            "FROM aircraft a WHERE a.name = m.aircraft AND m.campaign = :id AND m.wave IS NOT NULL "
            "AND (m.state = 'pending' OR m.state = 'failed' AND :failed)"
        ),
        {"id": one.id, "kind": one.kind, "now": now, "failed": failed},
    )


def undone(session: Session, one: Campaign) -> int:
    """How many aircraft of a campaign are pending or on their way back."""
    return int(
        session.execute(
            text(
                "SELECT count(*) FROM campaign_aircraft WHERE campaign = :id "
                "AND state IN ('pending', 'returning')"
            ),
            {"id": one.id},
        ).scalar_one()
    )
