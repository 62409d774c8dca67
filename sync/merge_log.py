"""The log of decisions about users: who won by which rule, never what was said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from common.uuid7 import uuid7

__all__ = ["KEPT", "Decision", "forget", "write"]

KEPT = timedelta(days=90)

_WRITE = text(
    "insert into user_merge_log (id, at, user_id, rule, field, winner, loser) "
    "select id, :at, user_id, rule, field, winner, loser from jsonb_to_recordset(cast(:rows as jsonb)) "
    "as r(id uuid, user_id uuid, rule text, field text, winner text, loser text)"
)


@dataclass(frozen=True)
class Decision:
    """Of two sides one won by a rule.

    `clamped`: an edit counts as of when it was received. `later`: the greater reading of the clock;
    `aircraft`: at equal readings, the greater name. `same`: the lower id is the canonical account.
    `apart`: one address, but nobody opened both with a password. `erased`: nothing counts any more.
    """

    user_id: UUID
    rule: str
    field: str
    winner: str
    loser: str


def write(connection: Connection, decisions: Iterable[Decision], now: datetime) -> None:
    """Add decisions to the log, in one statement."""
    rows = [asdict(one) | {"id": uuid7()} for one in decisions]
    if rows:
        connection.execute(_WRITE, {"at": now, "rows": json.dumps(rows, default=str)})


def forget(connection: Connection, now: datetime) -> None:
    """Remove what was decided longer ago than `KEPT`."""
    connection.execute(
        text("delete from user_merge_log where at < :before"), {"before": now - KEPT}
    )
