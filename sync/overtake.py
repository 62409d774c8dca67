"""What is more urgent overtakes what is being fetched: how it is asked for, and when it is done.

Two processes take part. The agent hears in a heartbeat that the hangar offers something more urgent
than the manifest that is held here, and writes that down in the folder of running things. Whoever
synchronises, the agent itself or the command `sync-now`, looks there twice a second, and alone
decides and ends its own rsync: nobody signals a process of somebody else. A note that is old, wrong,
or comes too late costs one look, and each version of the manifest stops a transfer once at most.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.settings import Settings
from sync.manifest import Urgency, urgency

__all__ = ["STOP_COST_S", "Overtaking", "ask"]

# What stopping costs: the new manifest's trips, and looking through what was received already.
STOP_COST_S = 5.0
LARGEST = 4096


def _path(settings: Settings) -> Path:
    return settings.run_dir / "sync.urgent"


def ask(settings: Settings, urgent: Mapping[str, Any]) -> None:
    """Note what the hangar said: `{"version", "priority", "valid_to"}`, of the manifest it offers.

    Raises `OSError` when it cannot be written.
    """
    beside = _path(settings).with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(dict(urgent)))
    os.replace(beside, _path(settings))


@dataclass
class Overtaking:
    """Decides in one synchronisation whether what is offered now goes before what is fetched.

    >>> Overtaking(settings).due("5f0c…", (100, never), left_s=90.0)  # doctest: +SKIP
    False
    """

    settings: Settings
    _met: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # What was said before this one began is in the manifest that it pulls first.
        _path(self.settings).unlink(missing_ok=True)

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
