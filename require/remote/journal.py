"""What a run did, line by line, on the disk before the next line is begun.

`runs/<run id>/journal.jsonl` holds {"event": "start" | "begin" | "end" | "handler" | "finish", …}.
There are keys, outcomes and reasons in it, never contents.
"""

from __future__ import annotations

import json
import os
from typing import Any

from require.remote import lock, private
from require.remote.shell import Refused

KEEP = 50


class Journal:
    """Writes one run's journal.

    Args:
        runs: our private folder.
        run: id of the run; one that is there already is refused, so that no run happens twice.

    Raises:
        Refused: this run is known.
    """

    def __init__(self, runs: str, run: str) -> None:
        place = f"{runs}/{run}"
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            raise Refused(f"the run {run} has been here already") from None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(f"{place}/journal.jsonl", flags, 0o600)
        private.sync(place)
        private.write(f"{runs}/last", run.encode())
        _forget(runs, run)

    def write(self, event: str, **values: Any) -> None:
        """Add one line and bring it to the disk."""
        line = json.dumps({"event": event, **values}, separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")
        os.fsync(self._file)


def last(runs: str) -> dict[str, Any] | None:
    """Tell what the newest journal says: "run", "operator", "at", "finished", "running", "failed".

    Args:
        runs: our private folder; it need not exist.
    """
    try:
        with open(f"{runs}/last") as file:
            run = file.read()
        with open(f"{runs}/{run}/journal.jsonl") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    events = [event for event in map(_parse, lines) if event]
    start = events[0] if events else {}
    return {
        "run": run,
        "operator": start.get("operator", ""),
        "at": start.get("at", ""),
        "finished": any(event["event"] == "finish" for event in events),
        "running": (lock.holder(runs) or {}).get("run") == run,
        "failed": [event["key"] for event in events if event.get("status") == "failed"],
    }


def _parse(line: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}  # the line that a power cut left half written
    return event


def _forget(runs: str, run: str) -> None:
    """Remove the oldest journals beyond `KEEP`."""
    old = [each for each in os.scandir(runs) if each.is_dir() and each.name != run]
    old.sort(key=lambda each: each.stat().st_mtime)
    for each in old[: max(0, len(old) + 1 - KEEP)]:
        for name in os.listdir(each.path):
            os.unlink(f"{each.path}/{name}")
        os.rmdir(each.path)
