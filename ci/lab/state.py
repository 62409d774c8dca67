"""What a lab must remember between two commands, in lab.json in its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fleet.aboard import disk

FILE = "lab.json"


@dataclass(frozen=True)
class State:
    """What cannot be asked of the machine.

    Args:
        slot: the subnets that its trees were made for.
        aircraft: how many it has.
        base: the base tree that its hosts stand on.
        unplugged: aircraft whose ramp cable is out.
        links: each aircraft's link settings, for a daemon that starts again.
    """

    slot: int
    aircraft: int
    base: str
    unplugged: tuple[str, ...] = ()
    links: dict[str, dict[str, Any]] = field(default_factory=dict)

    def with_ramp(self, name: str, plugged: bool) -> State:
        """Returns the state after that aircraft's ramp cable was plugged in or pulled."""
        others = {other for other in self.unplugged if other != name}
        return replace(self, unplugged=tuple(sorted(others if plugged else {*others, name})))

    def with_link(self, name: str, settings: dict[str, Any]) -> State:
        """Returns the state with that aircraft's link settings."""
        return replace(self, links={**self.links, name: settings})


def read(directory: Path) -> State | None:
    """Returns the state of the lab in that folder, or None when there is none."""
    path = directory / FILE
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    return State(**{**found, "unplugged": tuple(found["unplugged"])})


def write(directory: Path, state: State) -> None:
    """Keeps the state, whole or not at all."""
    disk.write(directory / FILE, [json.dumps(asdict(state), indent=1).encode() + b"\n"])
