"""A rollback that is cut at each of its steps: one release or the other, and asked for again it finishes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from ci.faults.case import Case
from ci.faults.release.aftermath import finished, served
from ci.faults.release.matrix import FAULTS, INTO_S, Fault, hindered, told
from ci.faults.release.stand import Stand
from fleet.aboard.steps import Step

# What is aboard is neither sent nor prepared again.
PREPARING = {
    Step.RECEIVE,
    Step.UNPACK,
    Step.COMPILE,
    Step.FLUSH,
    Step.PLACE,
    Step.STAGE,
    Step.SETUP,
}
STEPS = [step for step in Step if step not in PREPARING and not step.name.startswith("RETURN")]


def cell(step: Step, fault: Fault) -> Callable[[Stand, Random], str]:
    """Returns a row's act: one rollback, with the fault at this step."""

    def act(stand: Stand, chance: Random) -> str:
        back, left = stand.good, stand.make()
        finished(stand, left)
        late = chance.choice([0.0, chance.uniform(0, INTO_S)])
        said = hindered(stand, stand.rollback, step, fault, chance, late)
        fault.after(stand)
        told(said, fault)
        found = served(stand, back, left)
        if found is left:
            stand.rollback().expect("released", code=0)
            served(stand, back)
        stand.good = back
        return "asked for again, it finished" if found is left else "it had finished by itself"

    return act


CELLS = {
    f"rollback, {fault.name}": [
        Case(
            f"rollback, {fault.name} at {step.label}",
            f"{fault.done}: when {step.label} begins, or up to {INTO_S:g} s later",
            "the one or the other is served, whole; asked for again, it finishes",
            cell(step, fault),
        )
        for step in STEPS
    ]
    for fault in FAULTS
    if fault.name in ("power cut", "link cut")
}
CASES = [case for cells in CELLS.values() for case in cells]
