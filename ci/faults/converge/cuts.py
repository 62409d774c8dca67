"""What ends a run on the host: its power, a signal, its own promise of when it will be over."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

import require
from ci.faults.case import Case
from ci.faults.converge import wanted
from ci.faults.converge.aftermath import as_declared, ends_well, restarts, whole
from ci.faults.converge.links import APPLY_S, REACH_S, STEPS, at_event
from ci.faults.converge.stand import Stand
from ci.faults.under_test import later
from ci.story.teller import NotSo
from require import run as engine

PROMISED_S = 2
LAST = "cat /var/lib/turnaround/runs/last"
KILL = "systemctl kill --signal=KILL 'turnaround-run-*'"


def power(stand: Stand, chance: Random) -> str:
    """The power goes at a moment between the request to apply and a little after the last answer."""
    generation = _cut(stand, chance)
    return ends_well(stand, generation)


def back(stand: Stand, chance: Random) -> str:
    """The power comes back while ops' command still calls: it says how far the run came."""
    generation, declared = stand.next()
    moment = chance.uniform(0, APPLY_S + 0.7)
    timers = []

    def off_and_on() -> None:
        stand.power(on=False)
        stand.power(on=True)

    said = stand.operate(
        declared, watch=at_event("plan", 1, lambda: timers.append(later(moment, off_and_on)))
    )
    timers[0].join()
    if said.code == 4:
        said.expect("converge again", code=4)
    elif said.code != 0:
        raise NotSo(f"expected exit 4, or 0 when it was over, found exit {said.code}: {said.text}")
    return ends_well(stand, generation)


def undone(stand: Stand, chance: Random) -> str:
    """What a run did until the power went is undone: the files are the former ones, all of them."""
    former = stand.shell(LAST)
    generation = _cut(stand, chance)
    stand.quiet()
    if stand.shell(LAST) == former:
        ends_well(stand, generation)
        return "the run had not begun"
    told = stand.undo()
    seen = stand.quiet()
    if told.code == 0:
        whole(seen, stand.generation)
    else:
        told.expect(code=4)  # what it cannot put back is named, and is whole all the same
        whole(seen, stand.generation, generation)
    stand.operate(wanted.catalog(generation)).expect(code=0)
    # Where the run was over before the power went, the unit saw its end twice.
    restarts(as_declared(stand, generation), generation, most=2)
    stand.generation = generation
    return "all was put back" if told.code == 0 else "what is not as the run left it was named"


def _cut(stand: Stand, chance: Random) -> int:
    """Cuts the power during a converge to the next generation, gives it back, and returns which."""
    generation, declared = stand.next()
    moment = chance.uniform(0, APPLY_S + 0.7)
    with stand.way() as way, patch.object(engine, "REACH_S", REACH_S):

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
    return generation


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
        "power cut mid-apply, and back",
        "the same, and it boots at once, while ops' command calls it again",
        "exit 4 says how far the run came, or 0 when it was over",
        back,
    ),
    Case(
        "power cut mid-apply, undone",
        "the same; then fab undo",
        "all files are the former ones, or exit 4 names what is not as the run left it",
        undone,
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
