"""The table `work`: what the hangar has queued, is doing, and did, one row per piece of work.

A row is the truth about a piece of work; the message in the broker only wakes a worker, which claims
the row before it starts. So a message that comes twice, late or never does no harm: the claim is
refused, or the row expires and says so. All statements on the table stand here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from common.uuid7 import uuid7

WORKER_LOST = "Its worker stopped before it was done."
HANGAR = ""  # in the column `aircraft`: work of the hangar itself


@dataclass(frozen=True)
class Kind:
    """A kind of work and its patience, in seconds.

    `queued_s`: a row that no worker took for so long is given up. `running_s`: a row that runs
    longer lost its worker. `rest_s`: how long after its end the same is not started for the same
    aircraft again, and `failed_rest_s` where it failed, so that what fails does not fail at every
    heartbeat. `again_s`: how long after it failed it is done again by itself, because no heartbeat asks
    for it; 0 for never. `alone`: a running row stands for the next one too; where it does not, one more may
    wait behind it.
    """

    name: str
    queue: str
    queued_s: int
    running_s: int
    rest_s: int = 0
    failed_rest_s: int = 0
    again_s: int = 0
    alone: bool = False

    @property
    def not_taken(self) -> str:
        """Why a row was given up that no worker took."""
        unit = f"turnaround-worker-{self.queue}"
        return f"No worker took it in time: is {unit} running at the hangar?"


# An aircraft begins by itself, and waits five minutes at most where that does not help: nor would a call.
DISPATCH = Kind("dispatch", "dispatch", queued_s=120, running_s=3700, rest_s=300, alone=True)
INGEST = Kind("ingest", "sync", queued_s=120, running_s=900, failed_rest_s=60)
PUBLISH = Kind("publish", "publish", queued_s=120, running_s=900, again_s=300)
MEDIA = Kind("media", "media", queued_s=24 * 3600, running_s=5 * 3600)
CONVERGE = Kind("converge", "converge", queued_s=120, running_s=3700, failed_rest_s=120, alone=True)
# As many as land together wait for those that are shipped to.
CAMPAIGN = Kind(
    "campaign",
    "campaign",
    queued_s=3600,
    running_s=5 * 3600,
    rest_s=20,
    failed_rest_s=60,
    alone=True,
)
KINDS = {kind.name: kind for kind in (DISPATCH, INGEST, PUBLISH, MEDIA, CONVERGE, CAMPAIGN)}


@dataclass(frozen=True)
class Job:
    """A row that was just written and now needs a worker to be woken."""

    id: UUID
    kind: Kind


@dataclass(frozen=True)
class Claim:
    """What a worker got: the work is its own until it finishes it or `running_s` has passed."""

    id: UUID
    aircraft: str
    detail: dict[str, Any]


_START = text("""
WITH wanted AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:queued AS int[]),
                       CAST(:running AS int[]), CAST(:rest AS int[]), CAST(:failed_rest AS int[]),
                       CAST(:alone AS bool[]), CAST(:not_taken AS text[]))
         AS w(id, kind, queued_s, running_s, rest_s, failed_rest_s, alone, not_taken)
), former AS (
  SELECT o.kind, o.id, o.state, w.not_taken,
         CASE o.state
           WHEN 'queued' THEN extract(epoch FROM CAST(:now AS timestamptz) - o.queued_at) < w.queued_s
           WHEN 'running' THEN extract(epoch FROM CAST(:now AS timestamptz) - o.started_at) < w.running_s
           WHEN 'done' THEN extract(epoch FROM CAST(:now AS timestamptz) - o.finished_at) < w.rest_s
           -- What went well since needs no rest.
           ELSE o.finished_at = max(o.finished_at) OVER (PARTITION BY o.kind)
         END AS holds,
         o.state <> 'running' OR w.alone AS blocks
    FROM work o JOIN wanted w ON w.kind = o.kind
   WHERE o.aircraft = :aircraft
     AND o.queued_at > CAST(:now AS timestamptz) - interval '2 days'
     AND (o.state IN ('queued', 'running')
          OR extract(epoch FROM CAST(:now AS timestamptz) - o.finished_at)
             < greatest(w.rest_s, w.failed_rest_s))
), given_up AS (
  UPDATE work SET state = 'failed', finished_at = :now,
         reason = CASE former.state WHEN 'queued' THEN former.not_taken ELSE :worker_lost END
    FROM former WHERE work.id = former.id AND former.state IN ('queued', 'running') AND NOT holds
)
INSERT INTO work (id, aircraft, kind, state, queued_at, detail)
SELECT w.id, :aircraft, w.kind, 'queued', :now, CAST(:detail AS jsonb) FROM wanted w
 WHERE NOT EXISTS (SELECT 1 FROM former f WHERE f.kind = w.kind AND f.holds AND f.blocks)
RETURNING id, kind
""")


def start(
    session: Session,
    kinds: Iterable[Kind],
    now: datetime,
    aircraft: str = HANGAR,
    detail: Mapping[str, Any] | None = None,
) -> list[Job]:
    """Writes a queued row for each kind that is not under way yet, in one statement.

    Rows that expired are marked failed on the way. Two heartbeats of one aircraft in the same
    instant may both start a call; the lock aboard lets one of them through.

    Args:
        session: the caller's transaction; wake the workers after it was committed.
        kinds: what is wanted.
        now: time with zone.
        aircraft: for whom; HANGAR for work of its own.
        detail: what the worker needs to know.

    Example:
        >>> start(session, [DISPATCH], now, "EC-TAA")
        [Job(id=UUID('…'), kind=Kind(name='dispatch', …))]
        >>> start(session, [DISPATCH], now, "EC-TAA")  # it is queued already
        []
    """
    wanted = list(kinds)
    rows = session.execute(
        _START,
        {
            "ids": [str(uuid7()) for _ in wanted],
            "kinds": [kind.name for kind in wanted],
            "queued": [kind.queued_s for kind in wanted],
            "running": [kind.running_s for kind in wanted],
            "rest": [kind.rest_s for kind in wanted],
            "failed_rest": [kind.failed_rest_s for kind in wanted],
            "alone": [kind.alone for kind in wanted],
            "aircraft": aircraft,
            "now": now,
            "not_taken": [kind.not_taken for kind in wanted],
            "worker_lost": WORKER_LOST,
            "detail": json.dumps(dict(detail or {})),
        },
    ).all()
    return [Job(row.id, KINDS[row.kind]) for row in rows]


def add(session: Session, kind: Kind, now: datetime, id: UUID, detail: Mapping[str, Any]) -> Job:
    """Writes one queued row whatever else is under way: each import is work of its own."""
    session.execute(
        text(
            "INSERT INTO work (id, aircraft, kind, state, queued_at, detail) "
            "VALUES (:id, :aircraft, :kind, 'queued', :now, CAST(:detail AS jsonb))"
        ),
        {
            "id": id,
            "aircraft": HANGAR,
            "kind": kind.name,
            "now": now,
            "detail": json.dumps(dict(detail)),
        },
    )
    return Job(id, kind)


def waiting(session: Session, kinds: Iterable[Kind], before: datetime) -> list[Job]:
    """The rows that wait since `before` or longer; whether a worker was woken for them is not known.

    Those behind a row of their kind that runs are left out: a worker is there, and goes on to them.
    """
    rows = session.execute(
        text(
            "SELECT id, kind FROM work w WHERE state = 'queued' AND kind = ANY(:kinds) "
            "AND queued_at <= :before AND NOT EXISTS "
            "(SELECT FROM work r WHERE r.kind = w.kind AND r.state = 'running') ORDER BY queued_at"
        ),
        {"kinds": [kind.name for kind in kinds], "before": before},
    )
    return [Job(row.id, KINDS[row.kind]) for row in rows]


def running(session: Session, kind: Kind, only: UUID | None = None) -> list[Claim]:
    """The rows of a kind that run, or the one of them; locked until the caller's transaction ends."""
    rows = session.execute(
        text(
            "SELECT id, aircraft, detail FROM work WHERE state = 'running' AND kind = :kind "
            "AND (CAST(:only AS uuid) IS NULL OR id = :only) FOR UPDATE"
        ),
        {"kind": kind.name, "only": only},
    )
    return [Claim(row.id, row.aircraft, dict(row.detail)) for row in rows]


def again(session: Session, id: UUID, now: datetime, detail: Mapping[str, Any]) -> None:
    """Lets a row that ran wait once more, from now on."""
    session.execute(
        text(
            "UPDATE work SET state = 'queued', queued_at = :now, started_at = NULL, "
            "detail = detail || CAST(:detail AS jsonb) WHERE id = :id"
        ),
        {"id": id, "now": now, "detail": json.dumps(dict(detail))},
    )


def try_again(session: Session, kind: Kind, now: datetime) -> list[Job]:
    """Lets the last row of a kind wait once more if it failed, and that is `again_s` ago."""
    rows = session.execute(
        text(
            "UPDATE work SET state = 'queued', queued_at = :now, started_at = NULL, "
            "finished_at = NULL, reason = '' WHERE state = 'failed' AND finished_at <= :before "
            "AND id = (SELECT id FROM work WHERE kind = :kind ORDER BY queued_at DESC, id DESC LIMIT 1) "
            "RETURNING id"
        ),
        {"kind": kind.name, "now": now, "before": now - timedelta(seconds=kind.again_s)},
    )
    return [Job(row.id, kind) for row in rows]


def claim(session: Session, id: UUID, now: datetime) -> Claim | None:
    """Takes a queued row; None when it was taken, given up or done in the meantime."""
    row = session.execute(
        text(
            "UPDATE work SET state = 'running', started_at = :now "
            "WHERE id = :id AND state = 'queued' RETURNING id, aircraft, detail"
        ),
        {"id": id, "now": now},
    ).one_or_none()
    return Claim(row.id, row.aircraft, dict(row.detail)) if row else None


def note(session: Session, id: UUID, detail: Mapping[str, Any]) -> None:
    """Adds to a row's detail while it runs: what the fleet page shows of it."""
    session.execute(
        text("UPDATE work SET detail = detail || CAST(:detail AS jsonb) WHERE id = :id"),
        {"id": id, "detail": json.dumps(dict(detail))},
    )


def finish(
    session: Session,
    id: UUID,
    now: datetime,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Ends a row: done, or failed where there is a reason; what is done stays so."""
    session.execute(
        text(
            "UPDATE work SET state = :state, reason = :reason, finished_at = :now, "
            "detail = detail || CAST(:detail AS jsonb) WHERE id = :id AND state <> 'done'"
        ),
        {
            "id": id,
            "state": "failed" if reason else "done",
            "reason": reason or "",
            "now": now,
            "detail": json.dumps(dict(detail or {})),
        },
    )


def forget(session: Session, now: datetime, keep: timedelta = timedelta(days=14)) -> None:
    """Deletes what ended and what was heard longer ago than `keep`; the tables must not grow."""
    before = {"before": now - keep}
    session.execute(text("DELETE FROM work WHERE finished_at < :before"), before)
    session.execute(text("DELETE FROM heartbeat WHERE received_at < :before"), before)
