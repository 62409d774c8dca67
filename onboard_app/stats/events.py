"""Writing usage events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from common.schema import UsageEvent

OLDEST = timedelta(days=1)
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Event:
    """Something a passenger did; `at` is the device's word for when, or None for now."""

    kind: str
    item_id: UUID | None = None
    user_id: UUID | None = None
    at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def record(
    session: Session, event: Event, aircraft: str, flight: str | None, now: datetime
) -> None:
    """Adds an event; the caller commits."""
    session.add(
        UsageEvent(
            kind=event.kind,
            item_id=event.item_id,
            user_id=event.user_id,
            at=plausible(event.at, now),
            data=dict(event.data),
            aircraft=aircraft,
            flight=flight or "",
        )
    )


def plausible(at: datetime | None, now: datetime) -> datetime:
    """When it happened: the device's time if that can be true, else the time it was told.

    An app may tell later what happened while it was away; a phone's clock may be years off.
    """
    if at is None or not now - OLDEST <= at <= now + AHEAD:
        return now
    return at
