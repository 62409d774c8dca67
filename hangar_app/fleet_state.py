"""Reads what the fleet page is made of: seven statements for the whole fleet, however large."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from common.schema import Aircraft, Cursor, Work
from hangar_app import wanted, work
from hangar_app.behind import behind_down
from hangar_app.fleet_view import AircraftRow, Observed, WorkSeen, row
from sync import behind, held, state
from sync.behind import Place
from sync.state import Head

WORK_SHOWN = 4
OPEN_SHOWN = 8
WORK_WITHIN = timedelta(hours=24)


def fleet(session: Session, now: datetime) -> list[AircraftRow]:
    """Every aircraft of the fleet, by name.

    Args:
        session: reads only.
        now: time with zone.
    """
    engine = session.get_bind().engine
    heads = state.heads(engine)
    applied: dict[str, dict[str, Head]] = defaultdict(dict)
    for cursor in session.scalars(select(Cursor)):
        applied[cursor.peer][cursor.stream] = Head(
            epoch=str(cursor.epoch or ""), seq=cursor.seq, sha256=cursor.sha256
        )
    doing = recent_work(session, now)
    waiting = wanted.seen(session, now)
    known = session.scalars(select(Aircraft).order_by(Aircraft.name)).all()
    places = {one.name: _places(one.last_body or {}, heads) for one in known}
    lacking = behind.lacking(session.connection(), {at for of in places.values() for at in of})
    held_here = held.held(engine)
    return [
        row(
            Observed(
                name=one.name,
                tower=one.tower,
                airline=one.airline,
                last_seen=one.last_seen,
                body=one.last_body or {},
                applied=applied[one.name],
                work=doing.get(one.name, [])[:WORK_SHOWN],
                wanted=waiting.get(one.name),
                lacks={at[0]: lacking[at] for at in places[one.name] if at in lacking},
                held_here=held_here.get(one.name, {}),
            ),
            heads,
            now,
        )
        for one in known
    ]


def _places(body: Mapping[str, Any], heads: Mapping[str, Head]) -> list[Place]:
    """Where an aircraft stands in each stream that is sent to it: in a history that it is not in at 0, or
    before the snapshot that is all of it."""
    down = body.get("down") or {}
    return [
        (stream, head["seq"] - behind_down(head, down.get(stream)))
        for stream, head in heads.items()
    ]


def recent_work(session: Session, now: datetime) -> dict[str, list[WorkSeen]]:
    """What is open or ended in the last day, newest first, by aircraft; '' is the hangar itself.

    Of the past only the last row of each kind is shown: what went wrong earlier and well since
    is not worth a look at two in the morning. Of what is open, a few: one aircraft's rows must not
    push out another's.
    """
    is_open = Work.state.in_(("queued", "running"))
    newest_first = (Work.queued_at.desc(), Work.id.desc())
    place = func.row_number().over(
        partition_by=(Work.aircraft, Work.kind, is_open), order_by=newest_first
    )
    ranked = (
        select(Work, is_open.label("is_open"), place.label("place"))
        .where(or_(is_open, Work.queued_at > now - WORK_WITHIN))
        .subquery()
    )
    one_work = aliased(Work, ranked)
    rows = session.scalars(
        select(one_work)
        .where(or_(ranked.c.place == 1, ranked.c.is_open & (ranked.c.place <= OPEN_SHOWN)))
        .order_by(one_work.queued_at.desc(), one_work.id.desc())
    )
    found: dict[str, list[WorkSeen]] = defaultdict(list)
    for one in rows:
        found[one.aircraft].append(look(one, now))
    return found


def look(one: Work, now: datetime) -> WorkSeen:
    """A row of `work` as people look at it; an open row past its time says that it is lost."""
    kind = work.KINDS.get(one.kind)
    since = one.finished_at or one.started_at or one.queued_at
    now_it_is, reason = one.state, one.reason
    seconds = max(0, round((now - since).total_seconds()))
    if kind and one.state == "queued" and seconds > kind.queued_s:
        now_it_is, reason = "failed", kind.not_taken
    if kind and one.state == "running" and seconds > kind.running_s:
        now_it_is, reason = "failed", work.WORKER_LOST
    return WorkSeen(
        one.kind, now_it_is, reason, seconds, str(one.detail.get("progress") or "")[:120]
    )
