"""Campaigns as people look at them: waves in counts, each aircraft with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from fleet.campaign_plan import STATES
from fleet.heard import SILENT_S
from hangar_app.campaign_store import OPEN, ROW, Campaign, read

SHOWN = 20


def seen(session: Session, now: datetime, name: str = "") -> list[dict[str, Any]]:
    """The campaign of that name, or the last ones, the newest first."""
    rows = session.execute(
        text(
            ROW + "FROM campaign WHERE :name IN ('', name) "
            "ORDER BY state IN ('running', 'paused') DESC, started_at DESC, id DESC LIMIT :shown"
        ),
        {"name": name, "shown": SHOWN},
    )
    return [look(one, _aircraft(session, one), now) for one in map(read, rows.all())]


def at_work(session: Session, now: datetime) -> list[dict[str, Any]]:
    """The campaigns that are open, for the fleet page: each with `counts`, how many aircraft of its open
    waves are in which state."""
    rows = session.execute(
        text(ROW + "FROM campaign WHERE state = ANY(:open) ORDER BY started_at"),
        {"open": list(OPEN)},
    )
    found = []
    for one in map(read, rows.all()):
        looked = look(one, _aircraft(session, one), now)
        total = {state: sum(wave[state] for wave in looked["waves"]) for state in STATES}
        counts = {state: count for state, count in total.items() if count}
        found.append({**looked, "counts": counts})
    return found


def look(one: Campaign, rows: Sequence[Row[Any]], now: datetime) -> dict[str, Any]:
    """One campaign with its waves and its aircraft."""
    aircraft = [_plain(one, row, now) for row in rows]
    found = [
        Counter(each["state"] for each in aircraft if each["wave"] == w) for w in one.plan.waves
    ]
    return {
        "name": one.name,
        "kind": one.kind,
        "version": one.version,
        "state": one.state,
        "reason": one.reason,
        "operator": one.operator,
        "started_s_ago": _ago(one.started_at, now),
        "gate": one.plan.gate,
        "max_failed": one.plan.max_failed,
        "deadline": one.plan.deadline,
        "at_once": one.plan.at_once,
        "wave": one.plan.waves[one.wave] if one.wave >= 0 else None,
        "waves": [
            {
                "wave": wave,
                "open": number <= one.wave,
                "aircraft": found[number].total(),
                **{state: found[number][state] for state in STATES},
            }
            for number, wave in enumerate(one.plan.waves)
        ],
        "in_no_wave": sum(each["wave"] is None for each in aircraft),
        "aircraft": aircraft,
    }


def _aircraft(session: Session, one: Campaign) -> list[Row[Any]]:
    return list(
        session.execute(
            text(
                "SELECT m.aircraft, m.wave, m.state, m.reason, m.former, m.offered_at, m.attempts, "
                "m.ended_at, m.landings, a.last_seen, a.last_body ->> 'phase' AS phase, "
                "coalesce(w.state = 'running', false) AS called "
                "FROM campaign_aircraft m JOIN aircraft a ON a.name = m.aircraft "
                "LEFT JOIN work w ON w.id = m.work WHERE m.campaign = :id "
                "ORDER BY m.wave NULLS LAST, m.aircraft"
            ),
            {"id": one.id},
        )
    )


def _plain(one: Campaign, row: Row[Any], now: datetime) -> dict[str, Any]:
    silent_s = None if row.last_seen is None else _ago(row.last_seen, now)
    return {
        "name": row.aircraft,
        "wave": None if row.wave is None else one.plan.waves[row.wave],
        "state": _state(row, silent_s),
        "reason": row.reason,
        "former": row.former,
        "landings": row.landings,
        "attempts": row.attempts,
        "heard_s_ago": silent_s,
        "phase": row.phase,
        "offered_at": row.offered_at and row.offered_at.isoformat(),
        "ended_at": row.ended_at and row.ended_at.isoformat(),
    }


def _state(row: Row[Any], silent_s: int | None) -> str:
    if row.state != "pending":
        return str(row.state).replace("_", " ")
    if row.called:
        return "shipping"
    return "off-line" if silent_s is None or silent_s > SILENT_S else "pending"


def _ago(when: datetime, now: datetime) -> int:
    return max(0, round((now - when).total_seconds()))
