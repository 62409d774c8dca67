"""What the fleet page shows of each aircraft, worked out of heartbeats, ledgers and work. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hangar_app.behind import (
    Backlog,
    aside,
    backlog_down,
    backlog_up,
    behind_down,
    behind_up,
    former,
    held_rows,
)
from hangar_app.wanted import WantedSeen
from sync.behind import Lacking
from sync.state import Head

SILENT_AFTER_S = 30  # six heartbeats
DAY_S = 86_400
CERTIFICATE_DAYS = 21  # an aircraft may be out of reach for a week, and then for another
DOWN, UP = ("cat", "usr"), ("pay", "usr", "use")

Standing = Literal["new", "silent", "failed", "working", "behind", "even"]


@dataclass(frozen=True)
class WorkSeen:
    """A row of `work` as people look at it; times are in seconds."""

    kind: str
    state: str
    reason: str
    since_s: int
    progress: str


@dataclass(frozen=True)
class Observed:
    """What the database holds of one aircraft."""

    name: str
    tower: str
    airline: str
    last_seen: datetime | None
    body: Mapping[str, Any]
    applied: Mapping[str, Head]  # of each stream from this aircraft: how far it is in our database
    work: Sequence[WorkSeen]  # newest first
    wanted: WantedSeen | None = None
    lacks: Mapping[str, Lacking] = field(default_factory=dict)  # of each stream that is sent to it
    held_here: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of what it sent


@dataclass(frozen=True)
class AircraftRow:
    """One line of the fleet page, of /fleet.json and of the status command."""

    name: str
    tower: str
    airline: str
    standing: Standing
    seen_s_ago: int | None
    phase: str
    flight: str
    position: dict[str, float] | None
    releases: dict[str, dict[str, str]]
    behind: dict[str, int]
    content_missing: dict[str, int]
    disk_free_share: float | None
    syncing: bool
    work: list[WorkSeen]
    wanted: WantedSeen | None = None
    returned: Mapping[str, str] | None = None  # the release that it last returned from, and why
    certificates: dict[str, int] = field(default_factory=dict)  # whole days left
    ending: dict[str, int] = field(default_factory=dict)  # those of them that ops must see to
    up: dict[str, Backlog] = field(default_factory=dict)  # by stream: aboard, not acknowledged
    down: dict[str, Backlog] = field(default_factory=dict)  # by stream: here, not aboard
    aside: list[str] = field(default_factory=list)  # what waits or had to go, in words
    held_rows: dict[str, int] = field(default_factory=dict)  # by stream: in quarantine


def row(seen: Observed, heads: Mapping[str, Head], now: datetime) -> AircraftRow:
    """Works out one line.

    Args:
        seen: what the database holds of the aircraft.
        heads: the last sealed change-set of each down stream.
        now: time with zone.
    """
    body = seen.body
    down, up = body.get("down") or {}, body.get("up") or {}
    behind = {f"{one} ↓": behind_down(heads[one], down.get(one)) for one in DOWN if one in heads}
    behind |= {f"{one} ↑": behind_up(up[one], seen.applied.get(one)) for one in UP if one in up}
    if up:
        # What passengers did since the last change-set was sealed: it is aboard and nowhere else.
        behind["rows ↑"] = sum(int(up[one].get("unsealed_rows") or 0) for one in UP if one in up)
    content = body.get("content") or {}
    missing = {
        "files": int(content.get("missing_files") or 0),
        "bytes": int(content.get("missing_bytes") or 0),
    }
    seen_s = (
        None if seen.last_seen is None else max(0, round((now - seen.last_seen).total_seconds()))
    )
    disk = body.get("disk") or {}
    # They run out while nobody hears of them, too.
    certificates = {
        name: int(days) - (seen_s or 0) // DAY_S
        for name, days in (body.get("certificates") or {}).items()
    }
    return AircraftRow(
        name=seen.name,
        tower=seen.tower,
        airline=seen.airline,
        standing=_standing(
            seen_s, sum(behind.values()) + missing["files"] + sum(map(former, up.values())), seen
        ),
        seen_s_ago=seen_s,
        phase=str(body.get("phase") or "unknown"),
        flight=str(body.get("flight") or ""),
        position=_position(body.get("position")),
        releases={
            kind: {name: str(release.get(name) or "") for name in ("version", "state")}
            for kind, release in (body.get("releases") or {}).items()
            if release
        },
        behind=behind,
        content_missing=missing,
        disk_free_share=disk["free"] / disk["total"] if disk.get("total") else None,
        syncing=bool(body.get("syncing")),
        work=list(seen.work),
        wanted=seen.wanted,
        returned=body.get("returned"),
        certificates=certificates,
        ending={name: days for name, days in certificates.items() if days < CERTIFICATE_DAYS},
        up={one: backlog_up(up[one], seen, behind[f"{one} ↑"], now) for one in UP if one in up},
        down={
            one: backlog_down(seen.lacks.get(one, Lacking()), now) for one in DOWN if one in heads
        },
        aside=aside(body, seen.held_here),
        held_rows=held_rows(body.get("held") or {}, seen.held_here),
    )


def _standing(seen_s: int | None, lacking: int, seen: Observed) -> Standing:
    work, wanted = seen.work, seen.wanted
    if seen_s is None:
        return "new"
    if seen_s > SILENT_AFTER_S:
        return "silent"
    if seen.body.get("syncing") or any(one.state in ("queued", "running") for one in work):
        return "working"
    if (lacking and work and work[0].state == "failed") or (wanted and wanted.failed):
        return "failed"
    return "behind" if lacking or wanted else "even"


def _position(told: Mapping[str, Any] | None) -> dict[str, float] | None:
    if not told or told.get("lat") is None or told.get("lon") is None:
        return None
    return {name: value for name, value in told.items() if isinstance(value, int | float)}
