"""Who changed what: one row for each change that a member of the staff makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from common.schema import Audit


def write(session: Session, who: str, what: str, detail: Mapping[str, Any], now: datetime) -> None:
    """Adds a row to the caller's transaction: the change and its record stand or fall together.

    Args:
        session: the transaction that makes the change.
        who: the staff member's e-mail address.
        what: a verb in the past, such as `imported` or `changed item`.
        detail: what was changed, from and to; never a password.
        now: time with zone.
    """
    session.add(Audit(at=now, who=who, what=what, detail=dict(detail)))
