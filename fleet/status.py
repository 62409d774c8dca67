"""`fab status`: what the hangar knows of the fleet; asked of the hangar, so that no aircraft is called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.errors import FleetError, UsageError
from fleet.inventory import Host, Inventory
from fleet.ssh import Connection
from fleet.summary import one_line

COMMAND = ["sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/fleet-status"]
STATUS_S = 60.0
# It is made each night, each ten minutes, each minute; and each of them may fail a few times.
BACKUP_LIMITS = (
    ("database_s", "database", 30 * 3600),
    ("files_s", "files", 3600),
    ("wal_s", "WAL:", 600),
)
HEADINGS = ("aircraft", "standing", "heard", "phase", "release", "behind", "work")


def hangar_of(inventory: Inventory) -> Host:
    """Returns the host that knows of all others.

    Raises:
        UsageError: no host is in the group `hangar`.
    """
    found = inventory.in_group("hangar")
    if not found:
        raise UsageError(f"{inventory.path}: expected a host in the group hangar, found none")
    return found[0]


def ask(connection: Connection) -> list[dict[str, Any]]:
    """Returns one mapping per aircraft, as the hangar tells it.

    Raises:
        FleetError: the hangar does not know, with its own words; off-line is `Offline`.
    """
    return told(connection)[0]


def told(connection: Connection) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Returns one mapping per aircraft, and how old the hangar's backup is, None when it has none.

    Raises:
        FleetError: the hangar does not know, with its own words; off-line is `Offline`.
    """
    done = connection.run(COMMAND, timeout_s=STATUS_S).check(connection.name, "fleet-status")
    try:
        said = json.loads(done.stdout)
        return [{"host": row["name"], **row} for row in said["aircraft"]], said.get("backup")
    except (ValueError, KeyError, TypeError) as error:
        raise FleetError(
            f"{connection.name}: expected fleet-status to say how the fleet is, found "
            f"{done.stdout[:200]!r} ({type(error).__name__})",
            f"fab deploy-hangar --target {connection.name} ships one that does",
        ) from None


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the fleet as aligned lines, headings first; below them what failed or will."""
    # Much of it an aircraft says of itself, and its box may be in other hands.
    cells = [HEADINGS, *(tuple(map(one_line, _cells(row))) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ] + [one_line(line) for row in rows for line in (*_why(row), *_returned(row), *_ending(row))]


def _cells(row: Mapping[str, Any]) -> list[str]:
    release = (row.get("releases") or {}).get("onboard") or {}
    missing = row.get("content_missing") or {}
    behind = [f"{name} {count}" for name, count in (row.get("behind") or {}).items() if count]
    if missing.get("files"):
        behind.append(f"{missing['files']} files missing")
    work = [
        f"{each.get('kind')} {each.get('state')}"
        for each in row.get("work") or ()
        if each.get("state") != "done"
    ]
    flight = f" {row['flight']}" if row.get("flight") else ""
    return [
        str(row.get("name") or row.get("host")),
        str(row.get("standing") or "?") + (", syncing" if row.get("syncing") else ""),
        ago(row.get("seen_s_ago")),
        f"{row.get('phase') or '?'}{flight}",
        # The revision names it; its time would make the line too long for a narrow terminal.
        str(release.get("version") or "none").rpartition("-")[2],
        ", ".join(behind) or "nothing",
        ", ".join([*_waits(row.get("wanted")), *work]) or "none",
    ]


def _waits(wanted: Mapping[str, Any] | None) -> list[str]:
    """What waits for an aircraft, in a few words."""
    if not wanted:
        return []
    failed = f", failed {wanted['failed']} ×" if wanted.get("failed") else ""
    return [f"{str(wanted.get('revision'))[:7]} waits{failed}"]


def _why(row: Mapping[str, Any]) -> list[str]:
    wanted = row.get("wanted") or {}
    if not wanted.get("failed"):
        return []
    said = f"{str(wanted.get('revision'))[:7]} failed: {wanted.get('reason')}"
    return [f"{row.get('name') or row.get('host')}: {said}"]


def _returned(row: Mapping[str, Any]) -> list[str]:
    returned = row.get("returned")
    if not returned:
        return []
    revision = str(returned.get("version")).rpartition("-")[2]
    said = f"{returned.get('kind')} {revision} was returned from"
    return [f"{row.get('name')}: {said}: {returned.get('reason')}"]


def _ending(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row.get('name') or row.get('host')}: the certificate of {name} "
        + (f"ends in {days} days" if days >= 0 else "has ended")
        for name, days in (row.get("ending") or {}).items()
    ]


def backup_line(name: str, backup: Mapping[str, Any]) -> tuple[str, bool]:
    """Returns the hangar's backup in a line, and whether it is as young as it should be.

    >>> backup_line("hangar", {"database_s": 7200, "files_s": 60, "wal_s": 0})
    ('hangar: backup of database 2 h ago, files 1 min ago, WAL: all', True)
    """
    parts, good = [], True
    for key, what, most_s in BACKUP_LIMITS:
        since = backup.get(key)
        late = since is None or since > most_s
        good = good and not late
        said = "all" if key == "wal_s" and since == 0 else ago(since)
        parts.append(f"{what} {said}" + (" (too old)" if late else ""))
    return f"{name}: backup of {', '.join(parts)}", good


def ago(seconds: int | float | None) -> str:
    """Returns a span as people say it.

    >>> ago(7), ago(4000), ago(None)
    ('7 s ago', '1 h ago', 'never')
    """
    if seconds is None:
        return "never"
    for span, unit in ((86_400, "day"), (3600, "h"), (60, "min")):
        if (count := int(seconds // span)) > 0:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return f"{int(seconds)} s ago"
