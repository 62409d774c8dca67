"""How far an aircraft and the hangar are apart, and what stands still between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sync.behind import Lacking
from sync.state import Head

WHY_SHOWN = 300  # characters; an aircraft may say anything


@dataclass(frozen=True)
class Backlog:
    """What one end has of a stream and the other lacks; `oldest_s` is None where nothing is lacking.

    Upwards `bytes` are about right: what is not sealed yet counts as rows took lately.
    """

    change_sets: int = 0
    rows: int = 0
    bytes: int = 0
    oldest_s: int | None = None


class Heard(Protocol):
    """What was heard of an aircraft, and when."""

    @property
    def last_seen(self) -> datetime | None: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


def behind_down(head: Head, told: Mapping[str, Any] | None) -> int:
    """How many change-sets of a down stream an aircraft lacks.

    Another epoch means that it needs all of them, and the snapshot where that is all there is yet.

    Example:
        >>> behind_down({"epoch": "e1", "seq": 7, "sha256": "…"}, {"epoch": "e1", "seq": 5})
        2
    """
    told = told or {}
    if told.get("epoch") != head["epoch"]:
        return max(1, head["seq"])
    return max(0, head["seq"] - int(told.get("seq") or 0))


def behind_up(told: Mapping[str, Any], applied: Head | None) -> int:
    """How many change-sets of an up stream are sealed aboard and not in our database yet."""
    same = applied is not None and applied["epoch"] == told.get("epoch")
    return max(0, int(told.get("sealed") or 0) - (applied["seq"] if applied and same else 0))


def backlog_up(told: Mapping[str, Any], seen: Heard, change_sets: int, now: datetime) -> Backlog:
    """What waits aboard of a stream, as the heartbeat told it.

    How old it is was measured by the aircraft's own clock, which may be years off: only spans of it are
    taken.

    Args:
        told: the stream's part of the heartbeat.
        seen: when it came.
        change_sets: those that are sealed aboard and not in our database.
        now: time with zone.
    """
    unsealed = int(told.get("unsealed_rows") or 0)
    rows = int(told.get("rows") or 0) + unsealed
    size = int(told.get("bytes") or 0) + round(unsealed * float(told.get("row_bytes") or 0))
    oldest_s = None
    if rows and told.get("oldest_at") and seen.body.get("at") and seen.last_seen:
        aboard = datetime.fromisoformat(seen.body["at"]) - datetime.fromisoformat(told["oldest_at"])
        oldest_s = max(0, round((aboard + (now - seen.last_seen)).total_seconds()))
    return Backlog(change_sets, rows, size, oldest_s)


def backlog_down(lacks: Lacking, now: datetime) -> Backlog:
    """What the aircraft lacks of a stream that is sent to it."""
    at = lacks.oldest_at
    oldest_s = None if at is None else max(0, round((now - at).total_seconds()))
    return Backlog(lacks.change_sets, lacks.rows, lacks.bytes, oldest_s)


def former(told: Mapping[str, Any]) -> int:
    """How many histories that an aircraft left have change-sets that are aboard and not acknowledged.

    Example:
        >>> former({"epoch": "u2", "sealed": 0, "former": {"1f0a93c2": 7}})
        1
    """
    kept = told.get("former")
    return len(kept) if isinstance(kept, Mapping) else 0


def aside(body: Mapping[str, Any], here: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What stands still, waits by policy or had to go, each in a line.

    Args:
        body: the heartbeat.
        here: what of the aircraft's streams stands still at the hangar: {stream: {"rows", "why"}}.

    Example:
        >>> aside({"held": {"cat": {"rows": 2}}}, {})
        ['cat: 2 rows in quarantine aboard']
    """
    said = [
        line
        for place, held in (("aboard", body.get("held") or {}), ("at the hangar", here))
        for stream, one in sorted(held.items())
        for line in _held(stream, one, place)
    ]
    for stream, one in sorted((body.get("up") or {}).items()):
        if former(one):
            said.append(f"{stream}: change-sets of a former history are not acknowledged")
    content = body.get("content") or {}
    for name, what in (("waiting", "not fetched"), ("evicted", "removed to make room")):
        if one := content.get(name):
            count = _count(one.get("items"), "item")
            said.append(f"content: {count} {what}: {str(one.get('why'))[:WHY_SHOWN]}")
    if content.get("refused"):
        said.append(f"content: {str(content['refused'])[:WHY_SHOWN]}")
    return said


def _held(stream: str, one: Mapping[str, Any], place: str) -> list[str]:
    said = []
    if one.get("rows"):
        said.append(f"{stream}: {_count(one['rows'], 'row')} in quarantine {place}")
    if one.get("why"):
        said.append(f"{stream}: stands still {place}: {str(one['why'])[:WHY_SHOWN]}")
    return said


def _count(number: Any, what: str) -> str:
    return f"{int(number or 0)} {what}{'' if number == 1 else 's'}"


def held_rows(*places: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Rows in quarantine by stream, all places together.

    Example:
        >>> held_rows({"cat": {"rows": 2}}, {"cat": {"rows": 1}, "use": {"why": "no schema"}})
        {'cat': 3}
    """
    found: dict[str, int] = {}
    for place in places:
        for stream, one in place.items():
            if count := int(one.get("rows") or 0):
                found[stream] = found.get(stream, 0) + count
    return found
