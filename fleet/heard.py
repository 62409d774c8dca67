"""Who is worth calling: what the heartbeats say, so that a fleet in the air costs nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fleet.errors import Exit
from fleet.inventory import Inventory
from fleet.report import Outcome
from fleet.status import ago

SILENT_S = 60
"""Twelve heartbeats: a link that was only bad is heard of within them."""


def silent(rows: Collection[Mapping[str, Any]], named: Collection[str]) -> list[Outcome]:
    """Returns what is said of each host that need not be called.

    An aircraft that was never heard is called: its app may not be there yet. So is one that ops name,
    whatever the heartbeats say.

    Args:
        rows: what `fleet.status.ask` returned.
        named: hosts that the target names one by one.

    Example:
        >>> [each.detail for each in silent([{"host": "EC-TAB", "seen_s_ago": 7200}], [])]
        ['not called: last heard 2 h ago']
    """
    return [
        Outcome(
            str(row["host"]),
            Exit.OFFLINE,
            "off-line",
            f"not called: last heard {ago(row['seen_s_ago'])}",
            f"the same command with --target {row['host']} calls it all the same",
        )
        for row in rows
        if (row.get("seen_s_ago") or 0) > SILENT_S and row["host"] not in named
    ]


def named(inventory: Inventory, target: str) -> frozenset[str]:
    """Returns the hosts that a target names one by one, not by `all`, a group or a pattern."""
    words = (word.strip() for word in target.split(","))
    return frozenset(word for word in words if word in inventory.hosts)
