"""The link to the host, cut at every stage of a converge, or fallen silent."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from unittest.mock import patch

from ci.faults.case import Case
from ci.faults.converge.aftermath import ends_well
from ci.faults.converge.stand import Stand
from ci.faults.under_test import Said, Watch, later
from ci.faults.way import Way
from ci.story.teller import NotSo
from fleet import channel
from require import run as engine
from require.result import Event

# What one converge of ours sends and receives, give or take: where its stages begin.
HANDSHAKE_DOWN = 4000
LOOK_UP = (4000, 9300)
APPLY_UP = (9700, 22000)
LOOK_S = 0.15
STEPS = 15
APPLY_S = 0.5
REACH_S = 1.0  # how long a host is called again whose link broke; in life two minutes
EXPECTED = "exit 3; how to collect the run, where the host may have begun to apply"

Plan = Callable[[Way, Random], Watch]


def at_event(stage: str, number: int, then: Callable[[], object]) -> Watch:
    """Returns a watch that acts at the so many-th event of a stage."""
    seen = 0

    def watch(event: Event) -> None:
        nonlocal seen
        seen += event.stage == stage
        if event.stage == stage and seen == number:
            then()

    return watch


def nothing(event: Event) -> None:
    """Watches nothing."""


def cut(plan: Plan, stage: str) -> Callable[[Stand, Random], str]:
    """Returns a row's act: one converge with the link cut as planned.

    Args:
        plan: sets the way's trap and returns what watches.
        stage: where it is cut, for people.
    """

    def act(stand: Stand, chance: Random) -> str:
        generation, declared = stand.next()
        with stand.way() as way, patch.object(engine, "REACH_S", REACH_S):
            said = stand.operate(declared, way, watch=plan(way, chance))
            if not way.is_cut and not way.is_silent:
                raise NotSo(
                    f"the link was to be cut {stage}, and the converge was over: {said.text}"
                )
        _told(said)
        return ends_well(stand, generation)

    return act


def _told(said: Said) -> None:
    """What ops must be told: off-line is no failure, and whether the host goes on without them."""
    if said.code == 0:
        return  # the last bytes were none that mattered
    said.expect("off-line", code=3)
    if said.result is not None:
        said.expect("fab resume --target", code=3)


def connecting(way: Way, chance: Random) -> Watch:
    way.at_down(chance.randint(0, HANDSHAKE_DOWN), way.cut)
    return nothing


def asking(way: Way, chance: Random) -> Watch:
    way.at_up(chance.randint(*LOOK_UP), way.cut)
    return nothing


def looking(way: Way, chance: Random) -> Watch:
    late = chance.uniform(0, LOOK_S)
    way.at_up(LOOK_UP[1], lambda: later(late, way.cut))
    return nothing


def ordering(way: Way, chance: Random) -> Watch:
    way.at_up(chance.randint(*APPLY_UP), way.cut)
    return nothing


def applying(way: Way, chance: Random) -> Watch:
    return at_event("apply", chance.randint(1, 2 * STEPS), way.cut)


def silent(way: Way, chance: Random) -> Watch:
    return at_event("apply", chance.randint(1, 2 * STEPS), way.silence)


def answering(way: Way, chance: Random) -> Watch:
    more = chance.randint(0, 900)
    return at_event("verify", 1, lambda: way.at_down(way.down + more, way.cut))


def comes_back(stand: Stand, chance: Random) -> str:
    """A link that breaks and is there again: that very run is collected, by its id."""
    generation, declared = stand.next()
    with stand.way() as way:
        step = chance.randint(1, 2 * STEPS)
        said = stand.operate(declared, way, watch=at_event("apply", step, way.drop))
        if not way.is_dropped:
            raise NotSo(f"the link was to be cut, and the converge was over: {said.text}")
    said.expect("changed", code=0)
    return ends_well(stand, generation)


def goes_silent(stand: Stand, chance: Random) -> str:
    """A link that says nothing is given up after some time; here that is shorter than in life."""
    with patch.object(channel, "DEAD_AFTER_S", 3.0), patch.object(channel, "PING_AFTER_S", 1.0):
        return cut(silent, "mid-apply")(stand, chance)


CASES = [
    Case(f"link cut {stage}", f"the connection is reset {when}", EXPECTED, cut(plan, stage))
    for stage, when, plan in (
        ("while connecting", "within the first 4 kB that come back", connecting),
        ("while asking", "within the request to look", asking),
        ("while looking", "up to 0.15 s after the request to look", looking),
        ("while ordering", "within the request to apply", ordering),
        ("mid-apply", "at a step that chance chooses", applying),
        ("while answering", "within the last 900 bytes", answering),
    )
] + [
    Case(
        "link cut mid-apply, and back",
        "the connection is reset at a step that chance chooses, and the next one is let in",
        "exit 0: the host was called again, and the run's result is complete",
        comes_back,
    ),
    Case(
        "link silent mid-apply",
        "from a step that chance chooses nothing passes any more, and nobody says so",
        EXPECTED,
        goes_silent,
    ),
]
