"""`fab sync`: lets aircraft synchronise now, and shows what each says while it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fleet.channel import Completed
from fleet.errors import Exit, FleetError, Offline, UsageError
from fleet.inventory import Host
from fleet.report import Outcome

COMMAND = ["sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/sync-now"]
GROUP = "aircraft"
# Films over a modem take hours; a link that died is noticed within a minute all the same.
SYNC_S = 6 * 3600.0
LINE_MOST = 1 << 16


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


def sync_now(connection: Runs, host: Host, say: Callable[[str], None]) -> Outcome:
    """Runs `sync-now` on an aircraft and returns how it ended.

    Args:
        connection: the way to it.
        host: which one.
        say: is told each line of progress.

    Raises:
        Offline: it cannot be reached, or does not reach the hangar.
        FleetError: it could not synchronise, with its own words.
    """
    said: list[dict[str, Any]] = []

    def line(text: str) -> None:
        told = _told(text)
        if told is None:
            say(text[:200])
            return
        said[:] = [told]
        say(_sentence(told))

    done = connection.run(COMMAND, timeout_s=SYNC_S, on_line=line)
    last = said[-1] if said else {}
    if done.exit != 0:
        raise _failure(host.name, done, last)
    result = last.get("result", last)
    problems = result.get("problems") if isinstance(result, dict) else None
    return Outcome(
        host.name,
        Exit.FAILED if problems else Exit.DONE,
        "with problems" if problems else "synchronised",
        _figures(result),
        lines=tuple(str(problem) for problem in problems or ()),
        data={"result": result},
    )


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
    """Returns what moved, zeros left out: `12 applied rows, 3 content files`."""
    if not isinstance(result, dict):
        return str(result)
    parts = [
        f"{value:.1f} {name.replace('_', ' ')}"
        if isinstance(value, float)
        else f"{value} {name.replace('_', ' ')}"
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value
    ]
    return ", ".join(parts) or "nothing was due"


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
