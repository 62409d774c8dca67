"""`fab quarantine.…`: rows that a host's database refused, what is wrong with them, what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.errors import FleetError, RemoteFailed, UsageError
from fleet.inventory import Host, Inventory
from fleet.report import Outcome
from fleet.ssh import Connection
from fleet.status import hangar_of
from fleet.summary import one_line
from fleet.target import select
from require.run import operator_name

COMMAND = ("sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/quarantine")
ORDER_S = 300.0
HEADINGS = ("id", "from", "stream", "table", "key", "state", "tries", "since", "what is wrong")
WIDTH = 200
# By SQLSTATE, its first characters: PostgreSQL, appendix A.
_TO_DO = (
    ("23503", "it names a row that is not here; once that comes, it goes in by itself"),
    ("23505", "another row has that value here: change that one, then retry; or drop this one"),
    ("23", "the schema here refuses what the sender's allowed: mend that, then retry"),
    ("22", "a value is none of its column's type here: a newer release may read it, and tries it"),
    ("54", "a value is larger than the database takes: drop it, and say so where it was made"),
    ("", "mend what it says, then retry"),
)


def hosts_of(inventory: Inventory, target: str, ids: Sequence[int]) -> tuple[Host, ...]:
    """Returns the hosts that are meant: the hangar unless a target says other ones.

    Raises:
        UsageError: there are numbers of rows, which are one host's own, and several hosts.
    """
    hosts = select(inventory, target) if target else (hangar_of(inventory),)
    if ids and len(hosts) != 1:
        raise UsageError(
            f"--ids: the numbers of rows are one host's own, and {target!r} means {len(hosts)}",
            "nothing was touched",
        )
    return hosts


def ids_of(text: str) -> tuple[int, ...]:
    """Reads `--ids`: numbers with commas.

    Raises:
        UsageError: it is something else.

    Example:
        >>> ids_of("7,12")
        (7, 12)
    """
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isascii() and word.isdigit() and 0 < len(word) < 19 for word in words):
        raise UsageError(f"--ids: expected numbers such as 7,12, found {text!r}")
    return tuple(int(word) for word in words)


def order(link: Connection, host: Host, do: str, **words: Any) -> Outcome:
    """Gives a host an order and returns what it says.

    Args:
        link: the way to it.
        host: which one.
        do: list, show, retry or drop.
        words: `ids`, `peer`, `why`, `every`.

    Raises:
        UsageError: it cannot be carried out; nothing was changed.
        FleetError: the host has no quarantine yet, or failed; off-line is `Offline`.
    """
    said = _ask(link, host, {"do": do, "operator": operator_name(), **words})
    rows: list[dict[str, Any]] = said["rows"]
    lines = [line for row in rows for line in shown(row)] if do == "show" else table(rows)
    if said.get("more"):
        lines.append(f"… and {said['more']} more rows: --peer shows those of one sender")
    lines += standing(said.get("held") or {})
    return Outcome(
        host.name,
        status="quarantine" if rows else "no rows",
        detail=tally(rows, said.get("more", 0)),
        lines=tuple(lines),
        data={"rows": rows, "more": said.get("more", 0), "held": said.get("held") or {}},
    )


def _ask(link: Connection, host: Host, words: Mapping[str, Any]) -> dict[str, Any]:
    newer = f"fab converge and fab deploy to {host.name} bring one that does"
    done = link.run(COMMAND, json.dumps(words).encode() + b"\n", timeout_s=ORDER_S)
    try:
        said: dict[str, Any] = json.loads(done.check(host.name, "quarantine").stdout)
        if "refused" in said:
            raise UsageError(f"{host.name}: {said['refused']}", said["remedy"])
        if not isinstance(said["rows"], list):
            raise TypeError
    except RemoteFailed as error:
        raise FleetError(error.what, newer) from None
    except (ValueError, KeyError, TypeError):
        raise FleetError(
            f"{host.name}: expected rows in quarantine, found {done.stdout[:200]!r}", newer
        ) from None
    return said


def tally(rows: Sequence[Mapping[str, Any]], more: int = 0) -> str:
    """Returns how many rows are in which state, and how many more there are that were not told.

    >>> tally([{"state": "open"}, {"state": "dropped"}, {"state": "open"}])
    '2 open, 1 dropped'
    """
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    known = [f"{count} {state}" for state, count in counts.items()] + [f"{more} more"] * (more > 0)
    return ", ".join(known) or "none in quarantine"


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns rows as aligned lines, headings first; nothing where there are none."""
    if not rows:
        return []
    # A sender wrote some of it, and its box may be in other hands.
    cells = [HEADINGS, *(tuple(one_line(str(cell)) for cell in _cells(row)) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS) - 1)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)
        ).rstrip()[:WIDTH]
        for line in cells
    ]


def _cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    what = "delete" if row["op"] == "D" else ""
    return (
        row["id"],
        row["peer"],
        f"{row['stream']} {row['seq']}",
        f"{row['table']} {what}".strip(),
        str(row["key"])[:40],
        row["state"],
        row["attempts"],
        str(row["at"])[:16].replace("T", " "),
        row["error"],
    )


def shown(row: Mapping[str, Any]) -> list[str]:
    """Returns one row with all that is known of it, and what to do."""
    verb = "to be deleted" if row["op"] == "D" else "to be written"
    lines = [
        f"row {row['id']}: {row['table']} {row['key']}, {verb}, {row['state']}",
        f"  came in change-set {row['seq']} of {row['stream']} from {row['peer']} at {row['at']}",
        f"  refused: {row['error']} (SQLSTATE {row['sqlstate']}), {row['attempts']} tries, "
        f"last at {row['tried_at']}",
        *(f"  {name} = {'null' if value is None else value}" for name, value in _values(row)),
    ]
    if row["state"] == "open":
        to_do = next(what for code, what in _TO_DO if str(row["sqlstate"]).startswith(code))
        lines.append(f"  → {to_do}")
        lines.append(
            f"  → fab quarantine.retry --ids {row['id']} tries it now; it is tried after each change-set "
            "and each release, too. quarantine.drop gives it up"
        )
    else:
        reason = f": {row['reason']}" if row["reason"] else ""
        lines.append(f"  decided by {row['decided_by']} at {row['decided_at']}{reason}")
    return [
        one_line(line) if not line.startswith("  ") else f"  {one_line(line)}" for line in lines
    ]


def _values(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((row.get("row") or {}).items())


def standing(held: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Returns a line for each stream that stands still."""
    return [
        one_line(f"{peer}/{stream} stands still: {one['why']}")
        for peer, streams in held.items()
        for stream, one in streams.items()
        if one["why"]
    ]
