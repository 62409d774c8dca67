"""Releases that are no good: refused or returned from, with the reason shown to ops."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from ci.faults.case import Case
from ci.faults.release.aftermath import finished, served, told_why
from ci.faults.release.matrix import FAULTS, hindered
from ci.faults.release.stand import Stand
from ci.story.teller import NotSo
from fleet.aboard.steps import Step

LINK = next(fault for fault in FAULTS if fault.name == "link cut")


def returned(behaviour: str, status: str, *words: str) -> Callable[[Stand, Random], str]:
    """Returns a row's act: a release that behaves so.

    Args:
        behaviour: as `artifacts.make` knows it.
        status: what ops are told.
        words: what stands on ops' screen, and again in `fab releases`; one of them is enough.
    """

    def act(stand: Stand, chance: Random) -> str:
        old, bad = stand.good, stand.make(behaviour)
        said = stand.deploy(bad)
        said.expect(status, code=4)
        if not any(word in said.text for word in words):
            raise NotSo(f"expected one of {words} for a reason, found: {said.text}")
        served(stand, old)
        told_why(stand, bad, *words)
        return f"{status}, {finished(stand, stand.make())}"

    return act


def nobody_near(stand: Stand, chance: Random) -> str:
    """The link is cut as soon as a bad release is current; the reason can be asked for later."""
    old, bad = stand.good, stand.make("agent-fails")
    hindered(
        stand, lambda way, on_step: stand.deploy(bad, way, on_step), Step.RESTART, LINK, chance, 0
    )
    served(stand, old)
    told_why(stand, bad, "turnaround-agent.service")
    return finished(stand, stand.make())


CASES = [
    Case(
        name,
        done,
        f"exit 4, {status}, with the reason; the old release is served",
        returned(behaviour, status, *words),
        seeds=False,
    )
    for name, done, behaviour, status, words in (
        (
            "migration fails",
            "the setup command ends with 1",
            "setup-fails",
            "refused",
            ("column tail_number exists already",),
        ),
        (
            "a unit does not start",
            "the second unit ends with 1",
            "agent-fails",
            "returned",
            ("turnaround-agent.service",),
        ),
        (
            "starts and dies",
            "the application ends as soon as it serves",
            "dies",
            "returned",
            ("the flight data recorder is full",),
        ),
        (
            "health flaps",
            "it is well every other time",
            "flaps",
            "refused",
            ("by turns", "answered 503"),
        ),
        ("ill", "it says that it is not well", "ill", "refused", ("/health answered 503",)),
    )
] + [
    Case(
        "bad, and nobody near",
        "the link is cut as soon as a bad release is current",
        "the host returns by itself; fab releases tells the reason later",
        nobody_near,
        seeds=False,
    )
]
