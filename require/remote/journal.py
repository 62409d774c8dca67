"""What a run did, line by line, on the disk before the next line is begun.

`runs/<run id>/journal.jsonl` holds {"event": "start" | "begin" | "kept" | "end" | "handler" |
"finish", …}. There are keys, outcomes and reasons in it, never contents; what is secret is masked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
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
        """Add one line and bring it to the disk; of one that does not fit whole nothing stays."""
        line = json.dumps({"event": event, **values}, separators=(",", ":"))
        end = os.fstat(self._file).st_size
        try:
            private.put(self._file, line.encode() + b"\n")
        except OSError:
            os.ftruncate(self._file, end)
            raise
        os.fsync(self._file)


def last(runs: str) -> dict[str, Any] | None:
    """Tell what the newest journal says: "run", "operator", "at", "finished", "running", "failed".

    Args:
        runs: our private folder; it need not exist.
    """
    try:
        run = newest(runs)
        events = read(runs, run)
    except OSError:
        return None
    start = events[0] if events else {}
    return {
        "run": run,
        "operator": start.get("operator", ""),
        "at": start.get("at", ""),
        "finished": any(event["event"] == "finish" for event in events),
        "running": (lock.holder(runs) or {}).get("run") == run,
        "failed": [event["key"] for event in events if event.get("status") == "failed"],
    }


def told(runs: str, run: str) -> dict[str, Any] | None:
    """Tell all that a run's journal says of it, None when there is no such run.

    Args:
        runs: our private folder; it need not exist.
        run: id of the run.

    Returns:
        "run", "operator", "at", "declares", "steps" (keys, in order), "results" and "handlers" (by
        key, as the worker answers), "now" (key of the step that was begun and has no end yet),
        "finished", "running".
    """
    # Asked first: when it does not run any more, the journal says all there will ever be.
    running = (lock.holder(runs) or {}).get("run") == run
    try:
        events = read(runs, run)
    except OSError:
        return None
    start = events[0] if events else {}
    names = {"operator": "", "at": "", "declares": "", "steps": []}
    ended = {each["key"]: _outcome(each) for each in events if each["event"] == "end"}
    begun = [each["key"] for each in events if each["event"] == "begin"]
    return {
        "run": run,
        **{name: start.get(name, nothing) for name, nothing in names.items()},
        "results": ended,
        "handlers": {each["key"]: _outcome(each) for each in events if each["event"] == "handler"},
        "now": next((key for key in begun if key not in ended), ""),
        "finished": any(each["event"] == "finish" for each in events),
        "running": running,
    }


def _outcome(event: dict[str, Any]) -> dict[str, Any]:
    status = event["status"].replace("done", "changed")
    return {"status": status} | ({"reason": event["reason"]} if "reason" in event else {})


def newest(runs: str) -> str:
    """Return the id of the newest run.

    Raises:
        FileNotFoundError: there was none.
    """
    with open(f"{runs}/last") as file:
        return file.read()


def read(runs: str, run: str) -> list[dict[str, Any]]:
    """Return the events of a run so far.

    Raises:
        FileNotFoundError: there is no such run.
    """
    with open(f"{runs}/{run}/journal.jsonl") as file:
        return [event for event in map(_parse, file.read().splitlines()) if event]


def _parse(line: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}  # the line that a power cut left half written
    return event


def by_age(runs: str) -> list[str]:
    """Return the ids of all runs, the oldest first."""
    return sorted((each.name for each in os.scandir(runs) if each.is_dir()), key=_age(runs))


def _age(runs: str) -> Callable[[str], float]:
    def age(run: str) -> float:
        # Not the folder's own: that changes with what is removed from it.
        try:
            return os.stat(f"{runs}/{run}/journal.jsonl").st_mtime
        except FileNotFoundError:
            return 0  # the power went when it was made

    return age


def _forget(runs: str, run: str) -> None:
    """Remove the oldest journals beyond `KEEP`, and what those runs kept."""
    age = _age(runs)
    old = [each for each in by_age(runs) if each != run]
    for back, each in enumerate(reversed(old), 1):
        # The clock was ahead then, and the runs since would pass for the oldest.
        if age(each) > age(run):
            os.utime(f"{runs}/{each}/journal.jsonl", (age(run) - back / 1000,) * 2)
    for each in old[: max(0, len(old) + 1 - KEEP)]:
        for name in os.listdir(f"{runs}/{each}"):
            os.unlink(f"{runs}/{each}/{name}")
        os.rmdir(f"{runs}/{each}")
