"""What is more urgent overtakes what is being fetched: how it is asked for, and when it is done.

Two processes take part. The agent hears in a heartbeat that the hangar offers something more urgent
than the manifest that is held here, or that rows are due, and writes that down in the folder of
running things. Whoever synchronises, the agent itself or the command `sync-now`, looks there twice a
second, and alone decides and ends its own rsync: nobody signals a process of somebody else. A note
that is old, wrong, or comes too late costs one look. Each version of the manifest stops a transfer
once at most, and rows do so once in a minute at most.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.settings import Settings
from sync.manifest import Urgency, urgency

__all__ = ["ROWS_EVERY_S", "STOP_COST_S", "Overtaking", "ask", "ask_rows"]

# What stopping costs: the new manifest's trips, and looking through what was received already.
STOP_COST_S = 5.0
# Passengers make rows all the time: so long content comes undisturbed.
ROWS_EVERY_S = 60.0
LARGEST = 4096


def _path(settings: Settings) -> Path:
    return settings.run_dir / "sync.urgent"


def _rows(settings: Settings) -> Path:
    return settings.run_dir / "sync.rows"


def ask(settings: Settings, urgent: Mapping[str, Any]) -> None:
    """Note what the hangar said: `{"version", "priority", "valid_to"}`, of the manifest it offers.

    Raises `OSError` when it cannot be written.
    """
    _note(_path(settings), json.dumps(dict(urgent)))


def ask_rows(settings: Settings, due: Sequence[str]) -> None:
    """Note of which streams rows are due, as the hangar said: of none, there is no note.

    Raises `OSError` when it cannot be written.
    """
    if due:
        _note(_rows(settings), ", ".join(due))
    else:
        _rows(settings).unlink(missing_ok=True)


def _note(path: Path, said: str) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(said)
    os.replace(beside, path)


@dataclass
class Overtaking:
    """Decides in one synchronisation whether what is offered now goes before what is fetched.

    >>> Overtaking(settings).due("5f0c…", (100, never), left_s=90.0)  # doctest: +SKIP
    False
    """

    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _met: set[str] = field(default_factory=set)
    _exchanged: float = 0.0

    def __post_init__(self) -> None:
        # What was said before this one began is in the manifest that it pulls first.
        _path(self.settings).unlink(missing_ok=True)
        self.exchanged()

    def exchanged(self) -> None:
        """Rows went both ways just now: what was said of them before is done."""
        _rows(self.settings).unlink(missing_ok=True)
        self._exchanged = self.clock()

    def rows_due(self) -> bool:
        """Whether content is to make way for rows now."""
        return self.clock() - self._exchanged >= ROWS_EVERY_S and _rows(self.settings).exists()

    def due(self, held: str, running: Urgency | None, left_s: float = float("inf")) -> bool:
        """Whether to stop now and take the new manifest.

        Arguments: `held` is the version of the manifest that is being followed; `running` what is
        being fetched, None when that was all; `left_s` how many seconds that takes still.
        """
        asked = self._asked()
        if asked is None or asked[0] == held or asked[0] in self._met:
            return False
        if running is not None and (asked[1] >= running or left_s <= STOP_COST_S):
            return False
        self._met.add(asked[0])
        return True

    def _asked(self) -> tuple[str, Urgency] | None:
        try:
            with _path(self.settings).open("rb") as file:
                found = json.loads(file.read(LARGEST))
            until = found["valid_to"] and datetime.fromisoformat(found["valid_to"]).astimezone(UTC)
            return str(found["version"]), urgency(int(found["priority"]), until)
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None
