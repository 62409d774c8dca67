"""What a campaign does next: pure, from counts and what one aircraft says of itself.

A wave that is open offers the release to its aircraft. One that is off-line is pending, which counts
neither way; a deadline is counted in landings in which the hangar called. The next wave opens when enough
of the last one are confirmed, and the campaign pauses itself when more failed than it may bear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from fleet.campaign_plan import CANARY, Plan

GROUND = "ground"
ALOFT = ("climb", "cruise", "descent")
SILENCE = timedelta(minutes=10)
"""So long without a heartbeat on the ground, and the next one there is a landing."""

State = Literal["pending", "confirmed", "failed", "left", "returning", "rolled_back"]


@dataclass(frozen=True)
class Wave:
    """How many aircraft of an open wave are how far; `aside` are those that do not count any more:
    left alone, returning, or rolled back."""

    total: int = 0
    confirmed: int = 0
    failed: int = 0
    aside: int = 0


@dataclass(frozen=True)
class Standing:
    """How a campaign stands: its open waves, how many aircraft are in none yet, how many it is being
    shipped to, how many failures ops have borne already, and whether ops let it go on just now."""

    waves: Sequence[Wave] = ()
    waiting: int = 0
    under_way: int = 0
    excused: int = 0
    resumed: bool = False

    @property
    def offered(self) -> int:
        return sum(wave.total for wave in self.waves)

    @property
    def failed(self) -> int:
        """The failures that ops have not borne yet."""
        return max(0, sum(wave.failed for wave in self.waves) - self.excused)


@dataclass(frozen=True)
class Open:
    """The next wave opens, and takes so many aircraft."""

    wave: int
    take: int


@dataclass(frozen=True)
class Pause:
    """The campaign waits for people."""

    reason: str


def next_step(plan: Plan, now: Standing) -> Open | Pause | None:
    """What a running campaign does of itself; None when it only waits for its aircraft.

    Example:
        >>> next_step(Plan(("canary", "10%", "100%")), Standing([Wave(1, confirmed=1)], waiting=99))
        Open(wave=1, take=9)
    """
    bearable = plan.bearable(now.offered)
    if now.failed > bearable:
        return Pause(f"{now.failed} of {now.offered} aircraft failed, {bearable} may")
    opened = len(now.waves)
    if opened:
        last = now.waves[-1]
        counted = last.total - last.failed - last.aside
        if last.confirmed < math.ceil(plan.gate * counted / 100):
            return None
        proved = last.confirmed or now.resumed or not last.total
        if not proved and (now.failed if last.failed else opened < len(plan.waves)):
            return Pause(f"no aircraft of the wave {plan.waves[opened - 1]} is confirmed")
        if plan.waves[opened - 1] == CANARY and not last.total and now.waiting:
            return _canary(plan, opened - 1, now)
    if opened == len(plan.waves):
        return None
    if plan.waves[opened] == CANARY:
        return _canary(plan, opened, now)
    wanted = plan.offered(opened, now.offered + now.waiting) - now.offered
    return Open(opened, max(0, min(wanted, now.waiting)))


def _canary(plan: Plan, wave: int, now: Standing) -> Open:
    """The canary, or another one where it was retired before the next wave opened."""
    return Open(wave, min(len(plan.canary) or 1, now.waiting))


def may_start(plan: Plan, now: Standing) -> bool:
    """Whether it may be shipped to one more: if all that is under way failed, no more would have failed
    than pause it.

    Example:
        >>> may_start(Plan(("100%",), max_failed="1"), Standing([Wave(9)], under_way=2))
        False
    """
    return now.under_way < plan.at_once and now.failed + now.under_way <= plan.bearable(now.offered)


@dataclass(frozen=True)
class Member:
    """An aircraft of a campaign, as the database has it.

    Args:
        former: the version that it had when it was offered: "" is none, None is not known.
        landings: in how many landings it was called since.
        landed: the last of them, as the aircraft's landings are counted.
    """

    state: State
    former: str | None
    offered_at: datetime
    landings: int = 0
    landed: int = 0


@dataclass(frozen=True)
class Heard:
    """What an aircraft said of itself last."""

    at: datetime | None
    landings: int
    body: Mapping[str, Any]

    def release(self, kind: str) -> tuple[str | None, str | None]:
        """Which version of a kind is current there, and how far it is trusted."""
        told = (self.body.get("releases") or {}).get(kind) or {}
        return told.get("version"), told.get("state")


@dataclass(frozen=True)
class Ended:
    """It is over for this aircraft; no call is needed to know."""

    state: State
    reason: str = ""


@dataclass(frozen=True)
class Wait:
    """It is not the time."""

    reason: str


@dataclass(frozen=True)
class Call:
    """The aircraft is to be called: to ship the release, or to have it leave it again."""

    back: bool = False


def judge(
    plan: Plan, kind: str, version: str, member: Member, heard: Heard, now: datetime
) -> Ended | Wait | Call:
    """What is to be done about one aircraft of an open wave.

    What somebody has deployed by hand since it was offered is left alone. A release that the aircraft
    says it returned from since then has failed, whoever heard how the shipping ended.

    Args:
        plan: of the campaign.
        kind, version: what it brings.
        member: pending or returning.
        heard: the aircraft's last heartbeat.
        now: time with zone.
    """
    current, trusted = heard.release(kind)
    if member.state == "returning":
        if current != version:
            return elsewhere(current)
        return _at_the_gate(heard, now) or Call(back=True)
    if current == version and trusted == "confirmed":
        return Ended("confirmed")
    if reason := _returned(kind, version, member, heard):
        return Ended("failed", f"returned: {reason}")
    if member.former is not None and (current or "") not in (version, member.former):
        return Ended("left", f"{current or 'none'} is there by hand since it was offered")
    if member.landings >= plan.deadline and heard.landings > member.landed:
        return Ended("failed", f"called in {member.landings} landings, and not done")
    return _at_the_gate(heard, now) or Call()


def elsewhere(current: str | None) -> Ended:
    """It was to leave the release, and is on another."""
    return Ended("left", f"it is on {current or 'none'}: there is nothing to go back from")


def _at_the_gate(heard: Heard, now: datetime) -> Wait | None:
    """Installs happen on the ground only, with the link up."""
    phase = heard.body.get("phase")
    if phase != GROUND:
        return Wait(f"it is not on the ground: {phase or 'unknown'}")
    if heard.at is None or now - heard.at > timedelta(minutes=1):
        return Wait("it is not heard any more")
    return None


def _returned(kind: str, version: str, member: Member, heard: Heard) -> str | None:
    told = heard.body.get("returned")
    if not isinstance(told, dict) or (told.get("kind"), told.get("version")) != (kind, version):
        return None
    try:
        since = datetime.fromisoformat(str(told.get("at"))) >= member.offered_at
    except (ValueError, TypeError):
        return None
    return str(told.get("reason") or "it gave no reason") if since else None
