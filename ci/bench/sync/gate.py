"""A hangar and two aircraft at the gate, which the measurements of the link share: set up once in a run."""

from __future__ import annotations

import atexit
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from rich.console import Console

from ci.story import provision
from ci.story.teller import Teller
from ci.story.world import World
from fleet.errors import FleetError

LAB = "gate"
AIRCRAFT = 2


@lru_cache(maxsize=1)
def fleet() -> World:
    """Returns the fleet, which is taken away when this process ends.

    Raises:
        FleetError: the lab cannot be had, or does not become a fleet.
    """
    world = World.of(LAB)
    atexit.register(world.lab.down)
    told = Teller(Console(stderr=True, highlight=False)).tell(provision.steps(world, AIRCRAFT))
    if not told:
        raise FleetError(f"what fab said at last:\n{world.log_tail()}")
    return world


def run(world: World, host: str, program: str, *words: str, timeout_s: float = 120) -> str:
    """Runs Python in the release of a host, as our account with its settings; returns what it printed."""
    kind = "hangar" if host == "hangar" else "onboard"
    script = (
        "set -a; . /etc/turnaround/app.env; set +a; cd /"
        f"; exec /opt/turnaround/current/{kind}/bin/python -c {shlex.quote(program)} {shlex.join(words)}"
    )
    command = f"sudo -n -u turnaround sh -c {shlex.quote(script)}"
    return world.ssh(host, command, timeout_s=timeout_s)


def agent(world: World, name: str, verb: str) -> None:
    """Starts or stops the agent of an aircraft."""
    world.ssh(name, f"sudo -n systemctl {verb} turnaround-agent")


@contextmanager
def quiet(world: World, names: Sequence[str]) -> Iterator[None]:
    """Keeps the agents of these aircraft still; at the end they run again, and every link is a good one.

    Who is not measured would fetch the same, through the same end of the tower.
    """
    for name in names:
        agent(world, name, "stop")
    try:
        yield
    finally:
        for name in world.aircraft:
            world.lab.link(name, rtt_ms=0, loss=0, kbit=0, jitter_ms=0)
        for name in names:
            agent(world, name, "start")
