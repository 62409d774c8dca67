"""The table of `fab status`: how far behind each aircraft is, both ways, and what else people must know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from common.figures import figure, size, span
from fleet.report import Outcome
from fleet.summary import FEW, names, one_line

HEADINGS = (
    *("aircraft", "standing", "heard", "phase", "release"),
    *("rows", "bytes", "oldest", "sets", "bytes", "oldest", "files", "bytes"),
)
FIGURES = 5
"""From this column on there are figures."""
NEAR = (6, 7, 9, 10, 12)
"""Columns that belong to the one before."""
GROUPS = (("up", 5, 7), ("down", 8, 10), ("content", 11, 12))


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the fleet as aligned lines, headings first; below them what people must know besides.

    Up is what is aboard and not acknowledged, down what the hangar has and the aircraft lacks. It fits a
    hundred columns; what is the same of many aircraft is said once.
    """
    # Much of it an aircraft says of itself, and its box may be in other hands.
    cells = [HEADINGS, *(tuple(map(one_line, _cells(row))) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    below = [one_line(line) for line in (*_told_below(rows), *_sum(rows))]
    lines = [_groups(widths), *(_line(line, widths) for line in cells)]
    return [*lines, "", *below] if below else lines


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line; figures stand to the right, those of one group near each other."""
    said = ""
    for column, (text, width) in enumerate(zip(cells, widths, strict=True)):
        gap = "" if not column else " " if column in NEAR else "  "
        said += gap + (text.rjust(width) if column >= FIGURES else text.ljust(width))
    return said.rstrip()


def _groups(widths: Sequence[int]) -> str:
    """The line above the headings: which figures belong together."""
    ends, at = [], 0
    for column, width in enumerate(widths):
        at += width + (0 if not column else 1 if column in NEAR else 2)
        ends.append(at)
    said = ""
    for name, first, last in GROUPS:
        start = ends[first] - widths[first]
        said = f"{said.ljust(start)}{name} ".ljust(ends[last], "─")
    return said


def _cells(row: Mapping[str, Any]) -> list[str]:
    release = (row.get("releases") or {}).get("onboard") or {}
    missing = row.get("content_missing") or {}
    up, down = (_whole(row.get(way) or {}) for way in ("up", "down"))
    return [
        str(row.get("name") or row.get("host")),
        _standing(row),
        "never" if row.get("seen_s_ago") is None else span(row["seen_s_ago"]),
        str(row.get("phase") or "?"),
        # The revision names it; its time would make the line too long.
        str(release.get("version") or "none").rpartition("-")[2][:7],
        *(figure(up["rows"]), size(up["bytes"]), span(up["oldest_s"])),
        *(figure(down["change_sets"]), size(down["bytes"]), span(down["oldest_s"])),
        *(figure(missing.get("files")), size(missing.get("bytes"))),
    ]


def _standing(row: Mapping[str, Any]) -> str:
    """How it stands; of one that is at work, what it does."""
    if row.get("syncing"):
        return "syncing"
    at_work = [
        str(each.get("kind"))
        for each in row.get("work") or ()
        if each.get("state") in ("queued", "running")
    ]
    standing = str(row.get("standing") or "?")
    return at_work[0] if standing == "working" and at_work else standing


def _whole(streams: Mapping[str, Mapping[str, Any]]) -> dict[str, int | None]:
    """All streams together: sums, and the age of the oldest."""
    found: dict[str, int | None] = {
        name: sum(int(one.get(name) or 0) for one in streams.values())
        for name in ("change_sets", "rows", "bytes")
    }
    ages = [one["oldest_s"] for one in streams.values() if one.get("oldest_s") is not None]
    return {**found, "oldest_s": max(ages, default=None)}


def _told_below(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is told in words: by aircraft, and once where it is the same of several."""
    told: dict[str, list[Outcome]] = {}
    for row in rows:
        for line in (*_waits(row), *_failed(row), *_aside(row), *_returned(row), *_ending(row)):
            told.setdefault(line, []).append(Outcome(str(row.get("name") or row.get("host"))))
    return [f"{names(of)}: {line}" for line, of in told.items()]


def _sum(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fleet in a line, where it is longer than one looks over."""
    if len(rows) <= FEW:
        return []
    standings = Counter(str(row.get("standing") or "?") for row in rows).most_common()
    said = [", ".join(f"{count} {standing}" for standing, count in standings)]
    for way, what in (("up", "rows"), ("down", "change_sets")):
        each = [_whole(row.get(way) or {}) for row in rows]
        if count := sum(one[what] or 0 for one in each):
            oldest = span(max((one["oldest_s"] or 0 for one in each), default=0))
            total = size(sum(one["bytes"] or 0 for one in each))
            said.append(f"{way} {count} {what.replace('_', '-')}, {total}, oldest {oldest}")
    missing = sum(int((row.get("content_missing") or {}).get("bytes") or 0) for row in rows)
    if missing:
        said.append(f"content {size(missing)}")
    return [f"{len(rows)} aircraft: {'; '.join(said)}"]


def _waits(row: Mapping[str, Any]) -> list[str]:
    """What waits for an aircraft, in a few words."""
    wanted = row.get("wanted") or {}
    if not wanted:
        return []
    revision = str(wanted.get("revision"))[:7]
    if not wanted.get("failed"):
        return [f"configuration {revision} waits"]
    return [f"configuration {revision} waits, failed {wanted['failed']} ×: {wanted.get('reason')}"]


def _failed(row: Mapping[str, Any]) -> list[str]:
    """Why the last work for an aircraft that needs some failed."""
    last: Mapping[str, Any] = next(iter(row.get("work") or ()), {})
    if row.get("standing") != "failed" or last.get("state") != "failed":
        return []
    return [f"{last.get('kind')} failed: {last.get('reason')}"]


def _aside(row: Mapping[str, Any]) -> list[str]:
    return [str(line) for line in row.get("aside") or ()]


def _returned(row: Mapping[str, Any]) -> list[str]:
    returned = row.get("returned")
    if not returned:
        return []
    revision = str(returned.get("version")).rpartition("-")[2]
    said = f"{returned.get('kind')} {revision} was returned from"
    return [f"{said}: {returned.get('reason')}"]


def _ending(row: Mapping[str, Any]) -> list[str]:
    return [
        f"the certificate of {name} " + (f"ends in {days} days" if days >= 0 else "has ended")
        for name, days in (row.get("ending") or {}).items()
    ]
