"""What a campaign does next, decided from counts and from what one aircraft says. No database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.campaign_plan import Plan
from hangar_app.campaign import (
    Call,
    Ended,
    Heard,
    Member,
    Open,
    Pause,
    Standing,
    Wait,
    Wave,
    judge,
    may_start,
    next_step,
)

PLAN = Plan(("canary", "10%", "100%"))
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD, NEW, HAND = (f"2026110100000{n}-00000000000{n}" for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("waves", "waiting", "step"),
    [
        ([], 100, Open(0, 1)),
        ([Wave(1)], 99, None),  # the canary is pending: nothing else moves
        ([Wave(1, confirmed=1)], 99, Open(1, 9)),
        ([Wave(1, confirmed=1)], 2, Open(1, 0)),  # 10% of three are one, which is the canary
        ([Wave(1, failed=1)], 99, Pause("1 of 1 aircraft failed, 0 may")),
        ([Wave(1, confirmed=1), Wave(9, confirmed=8)], 90, None),
        ([Wave(1, confirmed=1), Wave(9, confirmed=9)], 90, Open(2, 90)),
        ([Wave(1, confirmed=1), Wave(9, confirmed=8, aside=1)], 90, Open(2, 90)),
        ([Wave(1, confirmed=1), Wave(9, confirmed=9), Wave(90, confirmed=90)], 0, None),
        ([Wave(1, confirmed=1), Wave(9, confirmed=9), Wave(1, aside=1)], 0, None),
        ([Wave(1, aside=1)], 99, Pause("no aircraft of the wave canary is confirmed")),
        ([Wave(0)], 99, Open(0, 1)),  # the canary was retired
        ([Wave(0)], 0, Open(1, 0)),
    ],
)
def test_the_next_wave_opens_when_the_last_one_is_confirmed(
    waves: list[Wave], waiting: int, step: object
) -> None:
    assert next_step(PLAN, Standing(waves, waiting)) == step


def test_a_gate_may_let_some_be_missing() -> None:
    lenient = replace(PLAN, gate=80)
    waves = [Wave(1, confirmed=1), Wave(10, confirmed=8)]
    assert next_step(lenient, Standing(waves, 89)) == Open(2, 89)
    assert next_step(PLAN, Standing(waves, 89)) is None


def test_failures_that_ops_have_borne_do_not_pause_it_again() -> None:
    waves = [Wave(1, failed=1)]
    assert isinstance(next_step(PLAN, Standing(waves, 99)), Pause)
    assert next_step(PLAN, Standing(waves, 99, excused=1)) == Open(1, 9)


def test_a_wave_without_one_that_is_confirmed_is_no_gate_that_opens() -> None:
    bearing = replace(PLAN, max_failed="3")
    said = next_step(bearing, Standing([Wave(1, failed=1)], 99))
    assert said == Pause("no aircraft of the wave canary is confirmed")
    assert next_step(PLAN, Standing([Wave(1, aside=1)], 99, resumed=True)) == Open(1, 9)


@pytest.mark.parametrize(
    ("under_way", "failed", "may"),
    [(0, 0, True), (5, 0, True), (6, 0, False), (2, 3, True), (3, 3, False)],
)
def test_no_more_can_fail_at_once_than_pause_it(under_way: int, failed: int, may: bool) -> None:
    now = Standing([Wave(100, failed=failed)], under_way=under_way)
    assert may_start(Plan(("100%",), max_failed="5%"), now) == may


def test_only_so_many_are_shipped_to_at_once() -> None:
    plan = Plan(("100%",), max_failed="100%", at_once=2)
    assert [may_start(plan, Standing([Wave(9)], under_way=n)) for n in (1, 2)] == [True, False]


def heard(current: str | None = OLD, state: str = "confirmed", **more: Any) -> Heard:
    told = {"phase": "ground", "releases": {"onboard": {"version": current, "state": state}}}
    return Heard(NOW - timedelta(seconds=2), 7, told | more)


OFFERED = Member("pending", OLD, NOW - timedelta(days=2))
BACK = replace(OFFERED, state="returning")
RETURNED = {"kind": "onboard", "version": NEW, "reason": "no answer", "at": NOW.isoformat()}
BEFORE = RETURNED | {"at": (NOW - timedelta(days=9)).isoformat()}


@pytest.mark.parametrize(
    ("member", "said", "verdict"),
    [
        (OFFERED, heard(), Call()),
        (OFFERED, heard(NEW), Ended("confirmed")),
        (OFFERED, heard(NEW, "trial"), Call()),
        (OFFERED, heard(HAND), Ended("left", f"{HAND} is there by hand since it was offered")),
        (replace(OFFERED, former=""), heard(None), Call()),
        (replace(OFFERED, former=None), heard(HAND), Call()),
        (OFFERED, heard(phase="cruise"), Wait("it is not on the ground: cruise")),
        (OFFERED, heard(phase="unknown"), Wait("it is not on the ground: unknown")),
        (OFFERED, heard(returned=RETURNED), Ended("failed", "returned: no answer")),
        (OFFERED, heard(returned=BEFORE), Call()),
        (OFFERED, heard(returned=RETURNED | {"kind": "html5"}), Call()),
        (OFFERED, heard(returned=RETURNED | {"at": "yesterday"}), Call()),
        (replace(OFFERED, landings=3, landed=7), heard(), Call()),  # the third landing still
        (
            replace(OFFERED, landings=3, landed=6),
            heard(),
            Ended("failed", "called in 3 landings, and not done"),
        ),
        (BACK, heard(NEW), Call(back=True)),
        (BACK, heard(NEW, phase="climb"), Wait("it is not on the ground: climb")),
        (BACK, heard(OLD), Ended("left", f"it is on {OLD}: there is nothing to go back from")),
    ],
)
def test_what_is_done_about_one_aircraft(member: Member, said: Heard, verdict: object) -> None:
    assert judge(PLAN, "onboard", NEW, member, said, NOW) == verdict


def test_one_that_was_heard_a_while_ago_is_not_called() -> None:
    gone = replace(heard(), at=NOW - timedelta(minutes=2))
    assert judge(PLAN, "onboard", NEW, OFFERED, gone, NOW) == Wait("it is not heard any more")
