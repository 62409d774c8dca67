"""`fab sync`: lets aircraft synchronise now, and shows what each says while it does.

An aircraft tells what waits aboard, what moves, how fast and what comes next; what it lacks of the rows that
go down the hangar knows, and is asked once before. Who has been silent too long is not called unless named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from common.figures import size, span
from fleet.channel import Completed
from fleet.connections import Connections
from fleet.errors import Exit, FleetError, Offline, UsageError
from fleet.heard import named, silent
from fleet.inventory import Host, Inventory
from fleet.report import Outcome
from fleet.status import ask, hangar_of
from fleet.summary import one_line

COMMAND = ["sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/sync-now"]
GROUP = "aircraft"
# Films over a modem take hours; a link that died is noticed within a minute all the same.
SYNC_S = 6 * 3600.0
LINE_MOST = 1 << 16
SAID_MOST = 400
# What the aircraft says when what it lacked of rows has come.
APPLIED = "applied "


class Runs(Protocol):
    """What is needed of a connection."""

    def run(
        self, argv: Sequence[str], *, timeout_s: float, on_line: Callable[[str], None] | None
    ) -> Completed: ...


def aircraft_of(hosts: Sequence[Host]) -> tuple[Host, ...]:
    """Returns the aircraft among the hosts: `all` means them.

    Raises:
        UsageError: there are none.
    """
    found = tuple(host for host in hosts if GROUP in host.groups)
    if not found:
        names = ", ".join(host.name for host in hosts)
        raise UsageError(f"only aircraft synchronise, and {names} is none")
    return found


def sync_now(
    connection: Runs,
    host: Host,
    say: Callable[[str], None],
    known: Mapping[str, Any] | None = None,
) -> Outcome:
    """Runs `sync-now` on an aircraft and returns how it ended.

    Args:
        connection: the way to it.
        host: which one.
        say: is told each line of progress.
        known: what the hangar knew of it before, as `fleet.status.ask` tells it.

    Raises:
        Offline: it cannot be reached, or does not reach the hangar.
        FleetError: it could not synchronise, with its own words.
    """
    said: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    lacks = lacking(known or {})
    if lacks:
        say(lacks)

    def line(text: str) -> None:
        nonlocal lacks
        told = _told(text)
        if told is not None:
            said.clear()
            said.update(told)
            if "seen" in told:
                seen["seen"] = told["seen"]
            text = _sentence(told)
        # Content comes after the rows, whoever's synchronisation it is.
        if text.startswith(APPLIED) or _moves(seen.get("seen")):
            lacks = ""
        say("; ".join(filter(None, (one_line(text[:SAID_MOST]), lacks))))

    done = connection.run(COMMAND, timeout_s=SYNC_S, on_line=line)
    if done.exit != 0:
        raise _failure(host.name, done, said)
    result = said.get("result", said)
    problems = result.get("problems") if isinstance(result, dict) else None
    return Outcome(
        host.name,
        Exit.FAILED if problems else Exit.DONE,
        "with problems" if problems else "synchronised",
        _figures(result),
        lines=tuple(str(problem) for problem in problems or ()),
        data={"result": result, **_before(known), **seen},
    )


def _moves(seen: Any) -> bool:
    return isinstance(seen, dict) and bool(seen.get("moving"))


def _before(known: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was lacking at either end before, for programs."""
    if not known or "unknown" in known:
        return {}
    return {"before": {name: known.get(name) for name in ("up", "down", "content_missing")}}


def lacking(known: Mapping[str, Any]) -> str:
    """Returns what an aircraft lacks of the rows that go down, in words; '' when nothing.

    >>> cat = {"change_sets": 2, "rows": 30, "bytes": 8120, "oldest_s": 7300}
    >>> lacking({"down": {"cat": cat}})
    'it lacks cat 2 change-sets, 30 rows, 8.1 kB, 2 h old'
    """
    if "unknown" in known:
        return f"what it lacks is not known: {one_line(str(known['unknown']))}"
    said = [
        f"{stream} {one['change_sets']} change-sets, {one['rows']} rows, {size(one['bytes'])}, "
        f"{span(one.get('oldest_s'))} old"
        for stream, one in (known.get("down") or {}).items()
        if one.get("change_sets")
    ]
    return f"it lacks {'; '.join(said)}" if said else ""


def known_before(
    fleet: Inventory, connections: Connections, hosts: Sequence[Host], target: str
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Outcome]]:
    """Returns what the hangar knows of each aircraft, and what is said of those not worth calling.

    A hangar that does not tell is no reason not to call them: then it is said that nothing is known.

    Args:
        fleet: the inventory.
        connections: the way to the hangar.
        hosts: the aircraft that are meant.
        target: as ops wrote it; who is named in it one by one is called whatever the heartbeats say.
    """
    try:
        rows = ask(connections.to(hangar_of(fleet)))
    except FleetError as error:
        return {host.name: {"unknown": error.what} for host in hosts}, {}
    quiet = silent(rows, named(fleet, target))
    return {str(row["host"]): row for row in rows}, {each.host: each for each in quiet}


def _told(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text[:LINE_MOST])
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _sentence(told: dict[str, Any]) -> str:
    for key in ("message", "text", "step", "progress", "event"):
        if isinstance(told.get(key), str):
            return str(told[key])
    return _figures(told.get("result", told))


def _figures(result: Any) -> str:
    """Returns what moved, zeros left out: `12 applied rows, 3 content files, 3.1 MB received`."""
    if not isinstance(result, dict):
        return str(result)
    parts = [
        _figure(name, value)
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value
    ]
    return ", ".join(parts) or "nothing was due"


def _figure(name: str, value: float) -> str:
    what = name.replace("_", " ")
    if name.startswith("bytes_"):
        return f"{size(value)} {what.removeprefix('bytes ')}"
    return f"{value:.1f} {what}" if isinstance(value, float) else f"{value} {what}"


def _failure(name: str, done: Completed, last: dict[str, Any]) -> FleetError:
    reason = last.get("error") or last.get("reason") or last.get("message")
    if isinstance(reason, dict):
        reason = reason.get("message")
    if not reason:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        reason = words[-1] if words else "it gave no reason"
    remedy = f"what had arrived is kept; fab sync --target {name} sends only the rest"
    if done.exit == Exit.OFFLINE:
        return Offline(f"{name}: it does not reach the hangar: {reason}", remedy)
    return FleetError(f"{name}: sync-now ended with exit code {done.exit}: {reason}", remedy)
