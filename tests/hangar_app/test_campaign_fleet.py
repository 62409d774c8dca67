"""Campaigns over a thousand aircraft that are mostly away: each is accounted for in the end, and never more
failed than may before the campaign paused itself.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from fleet.campaign_plan import Plan
from hangar_app import campaigning
from hangar_app.performing import Tools
from tests.hangar_app.campaigns import HAND, NEW, OLD, Call, NoShelf, World

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

QUIET = (
    "SELECT aircraft FROM campaign_aircraft "
    "WHERE (wave IS NULL OR state NOT IN ('pending', 'returning'))"
)
FLEET, NEWCOMERS, DAYS = 1000, 40, 40
DAY = 24 * 60
PLAN = Plan(("canary", "10%", "50%", "100%"), gate=90, max_failed="5%", deadline=3)


class Watch:
    """Looks after every step: what must never be, and how far it is."""

    def __init__(self, world: World) -> None:
        self.world, self.wave, self.paused, self.most_failed = world, 0, 0, 0.0
        self.state = "running"

    def __call__(self, call: Call) -> None:
        with self.world.tools.session() as session:
            one, now = self.world.standing(session)
            if one.wave != self.wave or not self.world.quiet:
                self.world.quiet = set(session.execute(text(QUIET)).scalars())
            else:
                name = {"name": call.aircraft}
                more = session.execute(text(f"{QUIET} AND aircraft = :name"), name)
                self.world.quiet.update(more.scalars())
        bearable = one.plan.bearable(now.offered)
        assert now.under_way <= one.plan.at_once
        if one.state == "running":
            assert now.failed <= bearable
            if now.offered:
                self.most_failed = max(self.most_failed, now.failed / now.offered)
        elif self.state == "running" and "failed" in one.reason:
            assert now.failed == bearable + 1
            self.paused += 1
        for number in range(self.wave, one.wave):
            wave = now.waves[number]
            counted = wave.total - wave.failed - wave.aside
            assert wave.confirmed >= 0.9 * counted or one.excused
        self.wave, self.state = one.wave, one.state


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_aircraft_is_accounted_for(
    tools: Tools, clock: Callable[[], datetime], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.perf_counter()
    monkeypatch.setattr(campaigning, "shelf", lambda folder: NoShelf())
    chance = random.Random(seed)
    world = World(tools, chance, clock())
    world.tools = replace(
        tools, clock=lambda: world.now, enqueue=lambda job: world.queue.append(job.id)
    )
    names = [f"EC-{number:04}" for number in range(FLEET + NEWCOMERS)]
    world.enrol(names[:FLEET])
    fate = spoil(world, chance, names)
    world.fly(60)
    world.start(PLAN)
    world.after = watch = Watch(world)
    for hours in sorted(chance.uniform(1, 15 * 24) for _ in range(12)):
        world.later(hours * 60, world.restart)
    world.later(4 * DAY, lambda: world.enrol(names[FLEET : FLEET + 20]))
    world.later(9 * DAY, lambda: world.enrol(names[FLEET + 20 :]))
    world.later(6 * DAY, lambda: pause(world))
    orders = 0
    for _ in range(DAYS):
        world.fly(DAY)
        said = world.look()
        if said["state"] == "paused":
            world.order(do="resume")
            orders += 1
        if not said["in_no_wave"] and not undone(said) and len(said["aircraft"]) == len(names):
            break
    days = (world.now - clock()).days
    said = world.look()
    states = Counter(each["state"] for each in said["aircraft"])
    assert {each["name"] for each in said["aircraft"]} == set(names)
    assert sum(states.values()) == len(names)
    assert set(states) <= {"confirmed", "failed", "left"}, states
    for each in said["aircraft"]:
        box = world.boxes[each["name"]]
        assert (each["state"] == "confirmed") == (box.current == NEW), each
        assert each["reason"] or each["state"] == "confirmed"
        assert (each["state"] == "left") == (box.current == HAND)
        if each["state"] == "failed":
            assert fate[box.name] in ("bad", "never"), each
            assert box.current == OLD
    assert world.order(do="close")["state"] == "closed"
    sys.stdout.write(
        f"\nseed {seed}: {dict(states)} in {days} days; {dict(world.said)}; paused itself "
        f"{watch.paused} times, most failed while running {watch.most_failed:.1%} of 5%, "
        f"{orders} orders to go on; {time.perf_counter() - began:.1f} s\n"
    )


def spoil(world: World, chance: random.Random, names: list[str]) -> dict[str, str]:
    """Some releases are bad there, some links never carry one, some were seen to by hand."""
    fate = dict.fromkeys(names, "well")
    for name, what in zip(
        chance.sample(names[:FLEET], 75), ["bad"] * 50 + ["never"] * 10 + ["hand"] * 15, strict=True
    ):
        fate[name] = what
        box = world.boxes[name]
        box.bad = what == "bad"
        box.cuts = 1.0 if what == "never" else 0.1
        if what == "hand":
            world.later(chance.uniform(0, 2) * DAY, lambda box=box: by_hand(box))
    return fate


def by_hand(box: Any) -> None:
    if box.current == OLD:
        box.current = HAND


def pause(world: World) -> None:
    if world.look()["state"] == "running":
        world.order(do="pause")


def undone(said: dict[str, Any]) -> int:
    return sum(each["state"] in ("pending", "off-line", "shipping") for each in said["aircraft"])
