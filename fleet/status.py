"""`fab status`: what the hangar knows of the fleet; asked of the hangar, so that no aircraft is called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet.errors import FleetError, UsageError
from fleet.inventory import Host, Inventory
from fleet.ssh import Connection

COMMAND = ["sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/fleet-status"]
STATUS_S = 60.0
# It is made each night, each ten minutes, each minute; and each of them may fail a few times.
BACKUP_LIMITS = (
    ("database_s", "database", 30 * 3600),
    ("files_s", "files", 3600),
    ("wal_s", "WAL:", 600),
)


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
