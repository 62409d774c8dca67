"""What ends a run on the host: its power, a signal, its own promise of when it will be over."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

import require
from ci.faults import wanted
from ci.faults.case import Case
from ci.faults.converge.aftermath import ends_well
from ci.faults.converge.links import APPLY_S, STEPS, at_event
from ci.faults.stand import Stand, later
from ci.story.teller import NotSo
from require import run as engine

PROMISED_S = 2
KILL = "systemctl kill --signal=KILL 'turnaround-run-*'"


def power(stand: Stand, chance: Random) -> str:
    """The power goes at a moment between the request to apply and a little after the last answer."""
    generation, declared = stand.next()
    moment = chance.uniform(0, APPLY_S + 0.7)
    with stand.way() as way:

        def off() -> None:
            stand.power(on=False)
            way.cut()

        timers = []
        said = stand.operate(
            declared, way, watch=at_event("plan", 1, lambda: timers.append(later(moment, off)))
        )
        timers[0].join()
    if said.code not in (0, 3):
        raise NotSo(f"expected exit 3, found exit {said.code}: {said.text}")
    stand.power(on=True)
    return ends_well(stand, generation)


def killed(stand: Stand, chance: Random) -> str:
    """The run is killed as the kernel kills when memory is short."""
    generation, declared = stand.next()
    step = chance.randint(1, 2 * STEPS)
    said = stand.operate(declared, watch=at_event("apply", step, lambda: _kill(stand)))
    if said.code != 0:  # or it was faster than the signal
        said.expect("converge again", code=4)
    return ends_well(stand, generation)


def _kill(stand: Stand) -> None:
    stand.shell(f"{KILL} || true")


def overdue(stand: Stand, chance: Random) -> str:
    """A run outlives its promise: the kernel ends it, and nobody else has to."""
    generation, _ = stand.next()
    with require.declare(role="faults") as slow:
        require.command.command("never ends", ["sleep", "1000"], creates="/srv/faults/never")
    with patch.object(engine, "LOCK_S", PROMISED_S):
        refused = []

        def other() -> None:
            refused.append(stand.operate(wanted.catalog(generation)))

        said = stand.operate(slow, watch=at_event("apply", 1, lambda: later(0.5, other)))
    said.expect("converge again", code=4)
    if not refused:
        raise NotSo("the other operator was not answered while the run went on")
    refused[0].expect("is being changed by", "at most until", code=4)
    return ends_well(stand, generation)


CASES = [
    Case(
        "power cut mid-apply",
        "every process of the host is killed at a moment that chance chooses, then it boots",
        "exit 3, or 0 when it was over",
        power,
    ),
    Case(
        "the run killed",
        "kill -9 of the run's unit at a step that chance chooses",
        "exit 4 and what to do; the lock is not stale",
        killed,
    ),
    Case(
        "the run overdue",
        "a step that never ends, and a promise of 2 s; another operator comes meanwhile",
        "the other is told by whom and until when; then exit 4; the lock is free again",
        overdue,
        seeds=False,
    ),
]
