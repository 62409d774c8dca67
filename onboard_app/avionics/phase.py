"""Which part of the flight this is: a pure step from what was remembered and what is seen now.

*ground* is what lets a modem on and a synchronisation start, so it is hard to reach and easy to
lose: the wheels must say so, the ground speed must be low, and both must hold for ten seconds; one
sign against it ends it at once. What cannot be known is *unknown*, and unknown means airborne.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

GROUND_HELD_S = 10.0
GROUND_BELOW_KT = 40.0  # taxiing in the recordings stays below 33 kt
GROUND_UP_TO_KT = 50.0  # so that a speed around the first limit does not flicker
RATE_OVER_S = 20.0
LEVEL_FT_MIN = 300.0
LEVEL_HELD_S = 60.0
CRUISE_ABOVE_FT = 10_000.0  # lower level pieces belong to the climb or the descent around them


class Phase(Enum):
    """What the aircraft is doing."""

    GROUND = "ground"
    CLIMB = "climb"
    CRUISE = "cruise"
    DESCENT = "descent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Facts:
    """What is known at one moment; None is unknown. `at` is monotonic, in seconds."""

    at: float
    on_ground: bool | None
    ground_speed_kt: float | None
    altitude_ft: float | None


@dataclass(frozen=True)
class Memory:
    """The phase and what the next step needs to judge it."""

    phase: Phase = Phase.UNKNOWN
    grounded_since: float | None = None
    level_since: float | None = None
    altitudes: tuple[tuple[float, float], ...] = ()


def step(memory: Memory, facts: Facts) -> Memory:
    """The memory after one more look at the facts.

    >>> step(Memory(Phase.GROUND), Facts(5.0, None, 0.0, 575.0)).phase.value
    'unknown'
    """
    memory = replace(memory, altitudes=_remember(memory.altitudes, facts))
    grounded = _grounded(memory.phase, facts)
    since = (
        (memory.grounded_since if memory.grounded_since is not None else facts.at)
        if grounded
        else None
    )
    memory = replace(memory, grounded_since=since)
    if grounded and (memory.phase is Phase.GROUND or facts.at - (since or 0) >= GROUND_HELD_S):
        return replace(memory, phase=Phase.GROUND, level_since=None)
    if facts.on_ground is None or facts.altitude_ft is None:
        return replace(memory, phase=Phase.UNKNOWN, level_since=None)
    if facts.on_ground:
        return replace(memory, phase=_rolling(memory.phase, facts), level_since=None)
    return _aloft(memory, facts)


def _grounded(phase: Phase, facts: Facts) -> bool:
    """Whether every sign speaks for the ground; a missing one speaks against it."""
    if facts.on_ground is not True or facts.ground_speed_kt is None or facts.altitude_ft is None:
        return False
    return facts.ground_speed_kt < (GROUND_UP_TO_KT if phase is Phase.GROUND else GROUND_BELOW_KT)


def _rolling(phase: Phase, facts: Facts) -> Phase:
    """On the wheels but fast, or not long enough slow: taking off if it came from the ground."""
    if facts.ground_speed_kt is None:
        return Phase.UNKNOWN
    return Phase.CLIMB if phase is Phase.GROUND else phase


def _aloft(memory: Memory, facts: Facts) -> Memory:
    rate = _rate_ft_min(memory.altitudes)
    known = memory.phase if memory.phase is not Phase.GROUND else Phase.CLIMB
    if rate is None:
        return replace(memory, phase=known, level_since=None)
    if abs(rate) >= LEVEL_FT_MIN:
        phase = Phase.CLIMB if rate > 0 else Phase.DESCENT
        return replace(memory, phase=phase, level_since=None)
    since = memory.level_since if memory.level_since is not None else facts.at
    high = (facts.altitude_ft or 0.0) >= CRUISE_ABOVE_FT
    level = high and facts.at - since >= LEVEL_HELD_S
    # Switched on aloft in level flight there is nothing to wait for.
    if level or (known is Phase.UNKNOWN and high):
        known = Phase.CRUISE
    return replace(memory, phase=known, level_since=since)


def _remember(
    altitudes: tuple[tuple[float, float], ...], facts: Facts
) -> tuple[tuple[float, float], ...]:
    """Keeps about one altitude a second over the window the rate is taken from."""
    if facts.altitude_ft is None:
        return ()
    kept = tuple(a for a in altitudes if facts.at - a[0] <= RATE_OVER_S + 1)
    if kept and facts.at - kept[-1][0] < 1:
        return kept
    return (*kept, (facts.at, facts.altitude_ft))


def _rate_ft_min(altitudes: tuple[tuple[float, float], ...]) -> float | None:
    """Feet per minute over the window, or None before it is nearly full."""
    if not altitudes or altitudes[-1][0] - altitudes[0][0] < RATE_OVER_S - 2:
        return None
    (t0, a0), (t1, a1) = altitudes[0], altitudes[-1]
    return (a1 - a0) / (t1 - t0) * 60
