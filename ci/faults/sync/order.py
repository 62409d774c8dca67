"""What a worker is to do, and what goes wrong while it does it; it travels as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sync import apply, seal

STEPS = {
    "seal": seal.STEPS,
    "apply": apply.STEPS,
    "session": ("pushing", "pulling", "fetching"),
    "content": ("taking", "linking", "naming", "pointing", "switching"),
    "ack": ("accepting", "letting go"),
}
"""The steps by what is done. Those of `seal` and `apply` are told by the code; the others are the operations
that begin them, seen from outside: a program started, a file renamed, linked or removed, a commit."""


@dataclass(frozen=True)
class Order:
    """One piece of synchronisation.

    Args:
        do: `seal`, `push`, `apply`, `session`, `ingest`, `publish` or `accept`.
        settings: the host's, as JSON gives them; none: those of its environment.
        peer: whose change-sets are applied.
        acks: what the hangar acknowledges.
        link: the words of the remote shell; none: those that the settings make.
        fault: `kill`, `cut`, `full`, `clock`, `hold`, or none.
        step: where it comes: `seal committed`, `content switching`.
        nth: at which of several such steps.
        value: of `kill` the seconds after the step; of `cut` the bytes that still pass; of `full` the
            pages that are left; of `clock` the years. `hold` says so and waits for ever.
    """

    do: str
    settings: Mapping[str, Any]
    peer: str = ""
    acks: Mapping[str, Any] = field(default_factory=dict)
    link: tuple[str, ...] = ()
    fault: str = ""
    step: str = ""
    nth: int = 1
    value: float = 0

    def line(self) -> str:
        """Returns it as it travels."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> Order:
        """Reads what `line` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Ended:
    """How it ended: what it found wrong in words, and whether it was killed, or broke off with an error."""

    problems: tuple[str, ...] = ()
    killed: bool = False
    error: str = ""
    met: bool = False
