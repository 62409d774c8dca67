"""A hangar with three aircraft that are heard when they are told to be, for the tests of campaigns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from common.schema import Aircraft
from fleet.campaign_plan import Plan
from fleet.release import Outcome
from hangar_app import campaign_orders, campaigning, heartbeat, performing, work
from hangar_app.campaign_orders import Order
from hangar_app.performing import Tools
from tests.hangar_app.campaigns import KIND, NEW, NOTHING_DUE, OLD, Box, NoShelf

NAMES = ("EC-TAA", "EC-TAB", "EC-TAC")
PLAN = Plan(("canary", "100%"), max_failed="1")


class Hangar:
    """The hangar with three aircraft, each heard when it is told to be."""

    def __init__(self, tools: Tools, clock: Any) -> None:
        self.tools = replace(tools, clock=clock)
        self.clock = clock
        self.boxes: dict[str, Box] = {}
        self.answers: dict[str, Outcome | Exception] = {}
        self.called: list[tuple[str, str]] = []
        for name in NAMES:
            self.enrol(name)

    def enrol(self, name: str) -> None:
        self.boxes[name] = Box(name, f"10.100.64.{11 + len(self.boxes)}", random=None)  # type: ignore[arg-type]
        with self.tools.session() as session:
            session.add(Aircraft(name=name, tower=self.boxes[name].tower))
            session.commit()

    def order(self, do: str, **words: Any) -> dict[str, Any]:
        said = {"operator": "ops@desk", "name": "c", **words}
        with self.tools.session() as session:
            order = Order.model_validate({"do": do, **said})
            (found,) = campaign_orders.carry_out(session, order, NoShelf(), self.clock())  # type: ignore[arg-type]
            session.commit()
        return found

    def start(self, plan: Plan = PLAN, **words: Any) -> dict[str, Any]:
        return self.order("start", kind=KIND, version=NEW, plan=plan.plain(), **words)

    def beat(self, name: str, phase: str = "ground") -> list[work.Job]:
        """It is heard, after the hangar rested; returns what that sets off."""
        self.clock.advance(seconds=61)
        box = self.boxes[name]
        box.phase = phase
        with self.tools.session() as session:
            body = box.body(self.clock())
            _, jobs = heartbeat.receive(session, box.tower, body, NOTHING_DUE, self.clock())
        return jobs

    def heard(self, name: str) -> dict[str, Any]:
        """It is heard, and the worker does what that sets off."""
        for job in self.beat(name):
            do = partial(campaigning.campaign, ship=self.ship, go_back=self.back)
            performing.perform(self.tools, job.id, do)
        return self.aircraft(name)

    def ship(self, place: Any, _artifact: Any) -> Outcome:
        self.called.append((place.name, "ship"))
        answer = self.answers.get(place.name)
        if isinstance(answer, Exception):
            raise answer
        outcome = answer or Outcome(place.name, KIND, NEW, "confirmed", OLD)
        if outcome.ok:
            self.boxes[place.name].current = NEW
        return outcome

    def back(self, place: Any, _kind: str, _version: str) -> Outcome:
        self.called.append((place.name, "back"))
        self.boxes[place.name].current = OLD
        return Outcome(place.name, KIND, OLD, "confirmed", NEW)

    def aircraft(self, name: str) -> dict[str, Any]:
        found = self.order("status")["aircraft"]
        return next((each for each in found if each["name"] == name), {})

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.order("status")["aircraft"]}
