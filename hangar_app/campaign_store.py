"""The tables `campaign` and `campaign_aircraft`. Statements on them stand here, but for the heartbeat's
glance whether anything is to be done, what ops change (`campaign_acts`) and what people see
(`campaign_seen`).

Whoever decides holds the campaign's row until its transaction ends, so that decisions come one after the
other; what is under way is known from `work`, so that a worker that is lost leaves nothing to mend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from common.uuid7 import uuid7
from fleet.campaign_plan import CANARY, Plan
from hangar_app import campaign as scheduler
from hangar_app.campaign import Call, Ended, Heard, Member, Open, Pause, Standing, Wait, Wave

OPEN = ("running", "paused")
TURN = "it waits for its turn"


@dataclass(frozen=True)
class Campaign:
    """A campaign, its row held."""

    id: UUID
    name: str
    kind: str
    version: str
    operator: str
    plan: Plan
    state: str
    reason: str
    wave: int
    excused: int
    started_at: datetime


@dataclass(frozen=True)
class Task:
    """What a worker is to do for an aircraft: ship the release, or have it leave it again."""

    campaign: UUID
    name: str
    kind: str
    version: str
    tower: str
    back: bool


ROW = "SELECT id, name, kind, version, operator, plan, state, reason, wave, excused, started_at "
# Whether a campaign is for an aircraft: what its plan says of that name.
IS_FOR = (
    "({plan} -> 'names' @> to_jsonb({name}) OR CAST({plan} ->> 'everyone' AS bool) "
    "AND NOT {plan} -> 'left_out' @> to_jsonb({name}))"
)
_FOR = IS_FOR.format(plan="c.plan", name="a.name")
# Which version of a kind an aircraft `a` has: what a campaign brought since it was heard, or what it said
# then; null where it was never heard.
_HAS = (
    "CASE WHEN a.last_seen IS NOT NULL THEN coalesce((SELECT d.version FROM campaign_aircraft n "
    "JOIN campaign d ON d.id = n.campaign WHERE n.aircraft = a.name AND d.kind = {kind} "
    "AND n.state = 'confirmed' AND n.ended_at >= a.last_seen ORDER BY n.ended_at DESC LIMIT 1), "
    "a.last_body -> 'releases' -> {kind} ->> 'version', '') END"
)
# Offers it to an aircraft `a`.
OFFER = "offered_at = :now, landed = 0, landings = 0, former = " + _HAS.format(
    kind="CAST(:kind AS text)"
)


def alone(session: Session) -> None:
    """Lets one at a time start a campaign, until its transaction ends; who reads waits for nobody."""
    session.execute(text("LOCK TABLE campaign IN SHARE ROW EXCLUSIVE MODE"))


def held(session: Session, name: str = "", id: UUID | None = None) -> Campaign | None:
    """The campaign of that name or id, its row held until the transaction ends."""
    row = session.execute(
        text(ROW + "FROM campaign WHERE name = :name OR id = :id FOR UPDATE"),
        {"name": name, "id": id},
    ).one_or_none()
    return read(row) if row else None


def add(
    session: Session, name: str, kind: str, version: str, operator: str, plan: Plan, now: datetime
) -> None:
    """Writes a campaign that begins, with everyone in it and its first wave open."""
    id = uuid7()
    session.execute(
        text(
            "INSERT INTO campaign (id, name, kind, version, operator, plan, started_at, changed_at) "
            "VALUES (:id, :name, :kind, :version, :operator, CAST(:plan AS jsonb), :now, :now)"
        ),
        {
            "id": id,
            "name": name,
            "kind": kind,
            "version": version,
            "operator": operator,
            "plan": json.dumps(plan.plain()),
            "now": now,
        },
    )
    one = held(session, id=id)
    assert one is not None
    advance(session, one, now)


def overlapping(session: Session, kind: str, plan: Plan) -> Mapping[str, tuple[str, bool]]:
    """Which aircraft of a plan an open campaign of that kind is for, or one has on their way back: its
    name, and whether it is open.

    One that was just enrolled is in none yet, and joins the one that is for it when it is heard.
    """
    rows = session.execute(
        text(
            "SELECT a.name AS aircraft, o.name, o.state FROM aircraft a, campaign o, "
            "(SELECT CAST(:plan AS jsonb) AS plan) c WHERE o.kind = :kind AND ("
            f"o.state = ANY(:open) AND {IS_FOR.format(plan='o.plan', name='a.name')} OR EXISTS (SELECT FROM "
            "campaign_aircraft m WHERE m.campaign = o.id AND m.aircraft = a.name "
            f"AND m.state = 'returning')) AND {_FOR} ORDER BY a.name"
        ),
        {"plan": json.dumps(plan.plain()), "kind": kind, "open": list(OPEN)},
    )
    return {row.aircraft: (row.name, row.state in OPEN) for row in rows}


def in_fleet(session: Session) -> set[str]:
    """The names of the aircraft that the hangar knows."""
    return set(session.execute(text("SELECT name FROM aircraft")).scalars())


def used(session: Session) -> set[tuple[str, str]]:
    """Kind and version of what open campaigns ship."""
    rows = session.execute(
        text("SELECT kind, version FROM campaign WHERE state = ANY(:open)"), {"open": list(OPEN)}
    )
    return {(row.kind, row.version) for row in rows}


def go_on(session: Session, now: datetime) -> None:
    """Lets the campaigns that run go on: one that was retired may have been the last that a wave waited
    for, and who comes in the next waves sets nothing off before it opens. The caller commits."""
    rows = session.execute(text("SELECT id FROM campaign WHERE state = 'running' ORDER BY id"))
    for id in rows.scalars().all():
        if (one := held(session, id=id)) is not None:
            advance(session, one, now)


def advance(
    session: Session, one: Campaign, now: datetime, *, resumed: bool = False
) -> tuple[Campaign, Standing]:
    """Lets a campaign that is held open its next wave, or pause itself, as far as it can.

    A wave is so much of the fleet as it is: who is new joins before it opens.
    """
    stands = replace(standing(session, one), resumed=resumed)
    while one.state == "running":
        step = scheduler.next_step(one.plan, stands)
        if step is None:
            break
        if isinstance(step, Pause):
            put(session, one.id, now, state="paused", reason=step.reason)
            one = replace(one, state="paused", reason=step.reason)
        elif not _join(session, one, now):
            _open(session, one, step, now)
            one = replace(one, wave=step.wave)
        stands = replace(standing(session, one), resumed=resumed)
    return one, stands


def put(session: Session, id: UUID, now: datetime, **changed: Any) -> None:
    """Changes columns of a campaign whose row is held: state, reason, wave, excused, plan."""
    if "plan" in changed:
        changed["plan"] = json.dumps(changed["plan"].plain())
    columns = ", ".join(
        f"{name} = CAST(:{name} AS jsonb)" if name == "plan" else f"{name} = :{name}"
        for name in changed
    )
    session.execute(
        text(f"UPDATE campaign SET {columns}, changed_at = :now WHERE id = :id"),
        {"id": id, "now": now, **changed},
    )


def _join(session: Session, one: Campaign, now: datetime) -> bool:
    """Whether somebody was enrolled since. They belong to the last open wave; a canary does not grow, so
    that the next wave takes them."""
    into = one.wave if one.wave >= 0 and one.plan.waves[one.wave] != CANARY else None
    joined = session.execute(
        text(
            "INSERT INTO campaign_aircraft (campaign, aircraft, wave, offered_at, former) "
            "SELECT c.id, a.name, CAST(:wave AS bigint), :now, "
            f"{_HAS.format(kind='c.kind')} "
            "FROM aircraft a, campaign c WHERE c.id = :id AND NOT EXISTS (SELECT FROM "
            "campaign_aircraft m WHERE m.campaign = c.id AND m.aircraft = a.name) AND "
            f"{_FOR} ORDER BY a.name ON CONFLICT DO NOTHING RETURNING 1"
        ),
        {"id": one.id, "wave": into, "now": now},
    )
    return bool(joined.all())


def standing(session: Session, one: Campaign) -> Standing:
    """How a campaign stands, in counts."""
    rows = session.execute(
        text(
            "SELECT m.wave, count(*) AS total, "
            "count(*) FILTER (WHERE m.state = 'confirmed') AS confirmed, "
            "count(*) FILTER (WHERE m.state = 'failed') AS failed, "
            "count(*) FILTER (WHERE m.state IN ('left', 'returning', 'rolled_back')) AS aside, "
            "count(*) FILTER (WHERE w.state = 'running') AS under_way "
            "FROM campaign_aircraft m LEFT JOIN work w ON w.id = m.work "
            "WHERE m.campaign = :id GROUP BY m.wave"
        ),
        {"id": one.id},
    ).all()
    waves = {row.wave: Wave(row.total, row.confirmed, row.failed, row.aside) for row in rows}
    return Standing(
        [waves.get(number, Wave()) for number in range(one.wave + 1)],
        waves.get(None, Wave()).total,
        sum(row.under_way for row in rows),
        one.excused,
    )


def _open(session: Session, one: Campaign, step: Open, now: datetime) -> None:
    """A canary that nobody named is who was heard last, on the ground if anybody is; the others come in
    an order that has nothing to do with their names."""
    session.execute(
        text(
            f"UPDATE campaign_aircraft m SET wave = :wave, {OFFER} FROM aircraft a "
            "WHERE a.name = m.aircraft AND m.campaign = :id AND m.aircraft IN ("
            "SELECT n.aircraft FROM campaign_aircraft n JOIN aircraft b ON b.name = n.aircraft "
            "WHERE n.campaign = :id AND n.wave IS NULL ORDER BY n.aircraft = ANY(:named) DESC, "
            "CASE WHEN :canary THEN b.last_body ->> 'phase' = :ground END DESC NULLS LAST, "
            "CASE WHEN :canary THEN b.last_seen END DESC NULLS LAST, md5(:salt || n.aircraft) "
            "LIMIT :take)"
        ),
        {
            "wave": step.wave,
            "now": now,
            "kind": one.kind,
            "id": one.id,
            "named": list(one.plan.canary),
            "canary": one.plan.waves[step.wave] == CANARY,
            "ground": scheduler.GROUND,
            "salt": one.name,
            "take": step.take,
        },
    )
    put(session, one.id, now, wave=step.wave)


def open_for(session: Session, aircraft: str) -> list[UUID]:
    """The campaigns that may have something for an aircraft, the oldest first."""
    rows = session.execute(
        text(
            "SELECT c.id FROM campaign c, aircraft a WHERE a.name = :name AND (c.state = 'running' "
            "OR EXISTS (SELECT FROM campaign_aircraft m WHERE m.campaign = c.id "
            "AND m.aircraft = a.name AND m.state = 'returning')) AND "
            f"{_FOR} ORDER BY c.started_at, c.id"
        ),
        {"name": aircraft},
    )
    return [row.id for row in rows]


def take(session: Session, id: UUID, aircraft: str, work: UUID, now: datetime) -> Task | None:
    """Decides what is to be done for an aircraft now, and notes that `work` does it; the caller commits.

    Returns:
        The call that is to be made; None when there is none, and what became known was noted.
    """
    found = held(session, id=id)
    if found is None:
        return None
    if _member(session, id, aircraft) is None:
        _join(session, found, now)
    one, stands = advance(session, found, now)
    row = _member(session, id, aircraft)
    if row is None or row.wave is None:
        return None
    # Two heartbeats in one instant are two pieces of work.
    if row.called:
        return None
    if row.state != "returning" and (row.state != "pending" or one.state != "running"):
        return None
    heard = Heard(row.last_seen, row.all_landings, row.last_body or {})
    former = row.former
    if former is None and heard.at is not None:
        former = heard.release(one.kind)[0] or ""
    member = Member(row.state, former, row.offered_at, row.landings, row.landed)
    said = scheduler.judge(one.plan, one.kind, one.version, member, heard, now)
    if isinstance(said, Ended):
        end(session, id, aircraft, said, now)
        return None
    if said == Call() and not scheduler.may_start(one.plan, stands):
        said = Wait(TURN)
    if isinstance(said, Wait):
        _note(session, id, aircraft, former, said.reason)
        return None
    _note(session, id, aircraft, former, row.reason, work)
    return Task(id, one.name, one.kind, one.version, row.tower, said.back)


def _member(session: Session, id: UUID, aircraft: str) -> Row[Any] | None:
    return session.execute(
        text(
            "SELECT m.wave, m.state, m.reason, m.former, m.offered_at, m.landings, m.landed, "
            "a.landings AS all_landings, a.last_seen, a.last_body, a.tower, "
            "coalesce(w.state = 'running', false) AS called FROM campaign_aircraft m "
            "JOIN aircraft a ON a.name = m.aircraft LEFT JOIN work w ON w.id = m.work "
            "WHERE m.campaign = :id AND m.aircraft = :name"
        ),
        {"id": id, "name": aircraft},
    ).one_or_none()


def _note(
    session: Session,
    id: UUID,
    aircraft: str,
    former: str | None,
    reason: str,
    work: UUID | None = None,
) -> None:
    """Notes what is known of an aircraft, and the call that is about to be made, if one is."""
    session.execute(
        text(
            "UPDATE campaign_aircraft SET former = :former, reason = :reason "
            "WHERE campaign = :id AND aircraft = :name"
        ),
        {"id": id, "name": aircraft, "former": former, "reason": reason},
    )
    if work is None:
        return
    session.execute(
        text(
            "UPDATE campaign_aircraft m SET work = :work, attempts = attempts + 1, "
            "landings = m.landings + CASE WHEN a.landings > m.landed THEN 1 ELSE 0 END, "
            "landed = a.landings FROM aircraft a "
            "WHERE a.name = m.aircraft AND m.campaign = :id AND m.aircraft = :name"
        ),
        {"id": id, "name": aircraft, "work": work},
    )


def end(session: Session, id: UUID, aircraft: str, how: Ended, now: datetime) -> None:
    """Notes that it is over for an aircraft, and lets the campaign go on; the caller commits.

    One that was told to go back while it was shipped to has to go back still.
    """
    one = held(session, id=id)
    assert one is not None
    session.execute(
        text(
            "UPDATE campaign_aircraft SET state = :state, reason = :reason, ended_at = :now, "
            "work = NULL WHERE campaign = :id AND aircraft = :name "
            "AND (state = 'pending' OR state = 'returning' AND :state <> 'confirmed')"
        ),
        {"id": id, "name": aircraft, "state": how.state, "reason": how.reason, "now": now},
    )
    advance(session, one, now)


def not_now(session: Session, id: UUID, aircraft: str, reason: str) -> None:
    """Notes why a call came to nothing; it is made again when the aircraft is heard."""
    session.execute(
        text(
            "UPDATE campaign_aircraft SET reason = :reason, work = NULL "
            "WHERE campaign = :id AND aircraft = :name"
        ),
        {"id": id, "name": aircraft, "reason": reason},
    )


def read(row: Row[Any]) -> Campaign:
    """The campaign of a row with its columns."""
    return Campaign(**{**row._mapping, "plan": Plan.of(row.plan)})
