"""The crash matrix: each named step of a release, met by each fault, when it begins or a moment later.

The steps are those of `fleet.aboard.steps`, so that a new one is met without a word here. Those of the way
back are passed by a release whose second unit fails; the others by a good one.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from random import Random

from ci.faults.case import Case
from ci.faults.release.aftermath import finished, served, told_why
from ci.faults.release.artifacts import KIND, Made
from ci.faults.release.stand import HOME, START, STOP, OnStep, Stand
from ci.faults.small_disk import fill, small_disk
from ci.faults.under_test import Said
from ci.faults.way import Way
from ci.lab.start import TOP
from ci.story.teller import NotSo
from fleet.aboard.steps import Step

INTO_S = 0.15  # longer than most steps take
DISK = "160M"  # aboard wants 64 MiB free, or it does not begin
PAGES = 90  # of what a release needs
DOWN = "the host went down during its trial"
FULL = ("No space left on device", "are free on the disk")
WHY = ("turnaround-agent.service", DOWN, *FULL)


@dataclass
class Moment:
    """What a fault may use when its moment has come."""

    stand: Stand
    way: Way
    chance: Random
    at_once: bool


Do = Callable[[Moment], None]
Order = Callable[[Way, OnStep], Said]


@dataclass(frozen=True)
class Fault:
    """One of the ways in which a release is hindered.

    Args:
        name: in a few words.
        done: what is done, for people.
        do: does it; whether aboard was let go before is `Moment.at_once`.
        after: brings back what the host needs for a next run.
        codes: how ops' command may end, beside 0.
        words: one of them stands on ops' screen then; none where nobody is told.
        over: whether no trial may be left when all is quiet.
        around: what stands around the whole row.
    """

    name: str
    done: str
    do: Do
    codes: tuple[int, ...]
    words: tuple[str, ...]
    after: Callable[[Stand], None] = lambda stand: None
    over: bool = True
    around: Callable[[Stand], AbstractContextManager[None]] = lambda stand: contextlib.nullcontext()


def power_cut(moment: Moment) -> None:
    moment.stand.power(on=False)
    moment.way.cut()


def _link(moment: Moment) -> None:
    moment.way.cut()


def _killed(moment: Moment) -> None:
    moment.stand.shell("pkill -KILL -f '^/usr/bin/python3 .*faults/aboard.py' || true")


@contextlib.contextmanager
def _small(stand: Stand, place: str) -> Iterator[None]:
    try:
        with small_disk(stand, place, DISK, before=STOP):
            stand.shell(START)
            yield
    finally:
        stand.shell(START)


def _full(place: str, pages: int) -> Do:
    def do(moment: Moment) -> None:
        fill(moment.stand, place, 0 if moment.at_once else moment.chance.randint(0, pages))

    return do


def _roomy(place: str) -> Callable[[Stand], None]:
    def after(stand: Stand) -> None:
        stand.shell(f"rm {place}/filler")

    return after


OPERATOR = "operator killed"
FAULTS = (
    Fault(
        "power cut",
        "every process of the host is killed, then it boots",
        power_cut,
        (3,),
        ("the link broke",),
        after=lambda stand: stand.power(on=True),
    ),
    Fault("link cut", "the connection is reset", _link, (3,), ("the link broke",)),
    # A process of its own is killed, by `_killed_with`.
    Fault(OPERATOR, "kill -9 of who ships it", lambda moment: None, (-9,), ()),
    Fault(
        "aboard killed", "kill -9 of aboard", _killed, (4,), ("ended with exit code",), over=False
    ),
    *(
        Fault(
            f"{name} full",
            f"{place}, a file system of its own, has no room left",
            _full(place, pages),
            (4,),
            FULL,
            after=_roomy(place),
            over=False,
            around=lambda stand, place=place: _small(stand, place),  # type: ignore[misc]
        )
        for name, place, pages in (
            ("disk", "/opt/turnaround", PAGES),
            ("disk of the state", HOME, 2),
        )
    ),
)


def cell(step: Step, fault: Fault) -> Callable[[Stand, Random], str]:
    """Returns a row's act: one release, with the fault at this step."""

    def act(stand: Stand, chance: Random) -> str:
        back = step.name.startswith("RETURN")
        old, new = stand.good, stand.make("agent-fails" if back else "good")
        late = chance.choice([0.0, chance.uniform(0, INTO_S)])
        with fault.around(stand):
            if fault.name == OPERATOR:
                _killed_with(stand, new, step, late)
            else:
                order = partial(stand.deploy, new)
                told(hindered(stand, order, step, fault, chance, late), fault)
            if fault.name == "power cut":
                fault.after(stand)
                is_new = step > Step.CONFIRM and not back
                allowed = (old, new) if late else (new if is_new else old,)
            else:
                allowed = (old,) if back and step is not Step.RETURN_SWITCH else (old, new)
            found = served(stand, *allowed, over=fault.over)
            if fault.name != "power cut":
                fault.after(stand)
            fact = f"{'old' if found is old else 'new'} was served"
            if not back:
                return f"{fact}, {finished(stand, new)}"
            return f"{fact}, {_returned(stand, old, new)}"

    return act


def hindered(
    stand: Stand, order: Order, step: Step, fault: Fault, chance: Random, late: float
) -> Said:
    """Gives an order, and lets the fault come at the step; what ops are told."""
    met: list[str] = []
    with stand.way() as way, stand.held(step):

        def on_step(text: str) -> None:
            if text != f"{step.label} ({KIND})" or met:
                return
            met.append(text)
            if late:
                stand.go_on()
                time.sleep(late)
            fault.do(Moment(stand, way, chance, at_once=not late))
            stand.go_on()

        said = order(way, on_step)
    if not met:
        raise NotSo(f"the step {step.label} was never announced: {said.text}")
    return said


def _killed_with(stand: Stand, made: Made, step: Step, late: float) -> None:
    """Has another process ship it, and kills that one at the step: nobody is left to be told."""
    manifest = stand.builds / KIND / made.version / "manifest.json"
    with stand.way() as way, stand.held(step):
        argv = [sys.executable, "-m", "ci.faults.release.operator", stand.lab.name, str(way.port)]
        with subprocess.Popen(
            [*argv, str(manifest)], cwd=TOP, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                if line.strip() == f"{step.label} ({KIND})":
                    if late:
                        stand.go_on()
                        time.sleep(late)
                    process.kill()
                    return
    raise NotSo(f"the step {step.label} was never announced")


def told(said: Said, fault: Fault) -> None:
    """What ops must be told: it was over, or what happened."""
    if said.code == 0 or said.outcome.status == "returned":
        return
    if said.code not in fault.codes or not any(word in said.text for word in fault.words):
        raise NotSo(
            f"expected exit {fault.codes} and one of {fault.words} to be said, found exit "
            f"{said.code}: {said.text}"
        )


def _returned(stand: Stand, old: Made, bad: Made) -> str:
    """Sees that the same deploy fails again and says why, and that a good one goes well.

    It is returned from again, or refused where it proved bad already by the same order.
    """
    if stand.seen().stage(bad) == "rolled_back":
        told_why(stand, bad, *WHY)
    stand.deploy(bad).expect("turnaround-agent.service", "the release before", code=4)
    served(stand, old)
    return finished(stand, stand.make())


CELLS = {
    fault.name: [
        Case(
            f"{fault.name} at {step.label}",
            f"{fault.done}: when {step.label} begins, or up to {INTO_S:g} s later",
            "old or new is served, whole; the reason is told; the same deploy finishes",
            cell(step, fault),
        )
        for step in Step
    ]
    for fault in FAULTS
}
CASES = [case for cells in CELLS.values() for case in cells]
