"""A fleet that flies, for the real scheduler and the real database: hosts, links and time are simulated.

Each call of an aircraft is the real one up to `ship`, in a thread that stands still there until the
simulated time has come; one thread runs at a time, so a seed gives the same days each time.
"""

from __future__ import annotations

import heapq
import json
import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from common.schema import Aircraft
from fleet.artifact import Artifact
from fleet.campaign_plan import Plan
from fleet.campaign_ship import Place
from fleet.errors import Offline
from fleet.release import Outcome
from hangar_app import campaign_orders, campaign_seen, campaigning, heartbeat, performing, work
from hangar_app import campaign_store as store
from hangar_app.campaign_orders import Order
from hangar_app.heartbeat import Streams
from hangar_app.performing import Tools
from sync.state import Due

OLD, NEW, HAND = (f"2026110100000{n}-00000000000{n}" for n in (1, 2, 3))
KIND = "onboard"
NOTHING_DUE = Streams(lambda *_: Due([], False), lambda *_: {})
SLOTS = 16


class Killed(BaseException):
    """The hangar went down while it shipped: nothing is written of how that ended."""


class NoShelf:
    """Stands for the hangar's shelf: everything is there."""

    def get(self, kind: str, version: str) -> Artifact | None:
        return None

    def collect(self, keep: object) -> None:
        pass


@dataclass
class Box:
    """An aircraft: what is on it, and how its links and releases do."""

    name: str
    tower: str
    random: random.Random
    current: str = OLD
    phase: str = "ground"
    bad: bool = False
    cuts: float = 0.1  # the share of shippings that break
    returned: dict[str, str] | None = None

    def body(self, now: datetime) -> bytes:
        told: dict[str, Any] = {
            "node": self.name,
            "at": now.isoformat(),
            "phase": self.phase,
            "releases": {KIND: {"version": self.current, "state": "confirmed"}},
        }
        return json.dumps(told | ({"returned": self.returned} if self.returned else {})).encode()

    def install(self, now: datetime) -> Outcome:
        """What aboard does with a release, whoever still listens."""
        if self.current == NEW:
            return Outcome(self.name, KIND, NEW, "already")
        if self.bad:
            why = "/health: expected 200, found 500"
            self.returned = {"kind": KIND, "version": NEW, "reason": why, "at": now.isoformat()}
            return Outcome(self.name, KIND, NEW, "returned", OLD, why)
        self.current = NEW
        return Outcome(self.name, KIND, NEW, "confirmed", OLD, bytes=40_000)


class Call(threading.Thread):
    """One piece of work of the hangar's worker, which stands still while it ships."""

    def __init__(self, world: World, id: UUID) -> None:
        super().__init__(daemon=True)
        self.world, self.id = world, id
        self.still, self.go = threading.Event(), threading.Event()
        self.aircraft = world.whose[id]
        self.box: Box | None = None
        self.fate = ""

    def run(self) -> None:
        do = partial(campaigning.campaign, ship=self.ship, go_back=self.go_back)
        try:
            performing.perform(self.world.tools, self.id, do)
        except Killed:
            pass
        finally:
            self.box = None
            self.still.set()

    def onward(self) -> bool:
        """Lets it run until it ships or ends; whether it ships."""
        self.still.clear()
        self.go.set()
        if not self.is_alive():
            self.start()
        self.still.wait()
        return self.box is not None

    def ship(self, place: Place, artifact: Artifact) -> Outcome:
        return self.wait(place, lambda box: box.install(self.world.now))

    def go_back(self, place: Place, kind: str, version: str) -> Outcome:
        def back(box: Box) -> Outcome:
            if box.current != version:
                return Outcome(box.name, kind, box.current, "already")
            box.current = OLD
            return Outcome(box.name, kind, OLD, "confirmed", version)

        return self.wait(place, back)

    def wait(self, place: Place, act: Callable[[Box], Outcome]) -> Outcome:
        self.box = box = self.world.boxes[place.name]
        self.go.clear()
        self.still.set()
        self.go.wait()
        self.box = None
        if self.fate == "killed":
            raise Killed
        if box.phase != "ground" or box.random.random() < box.cuts:
            if box.random.random() < 0.3:  # cut after the switch: it goes on by itself
                act(box)
            raise Offline(f"{place.name}: the link broke")
        return act(box)


@dataclass
class World:
    """The fleet, the hangar's worker, and the days."""

    tools: Tools
    random: random.Random
    now: datetime
    boxes: dict[str, Box] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)
    after: Callable[[Call], None] = lambda call: None
    events: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    number: Any = field(default_factory=count)
    queue: deque[UUID] = field(default_factory=deque)
    calls: list[Call] = field(default_factory=list)
    whose: dict[UUID, str] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)

    def enrol(self, names: list[str]) -> None:
        with self.tools.session() as session:
            for name in names:
                at = len(self.boxes)
                box = Box(name, f"10.100.{at // 250}.{at % 250 + 1}", random.Random(f"{name}{at}"))
                self.boxes[name] = box
                session.add(Aircraft(name=name, tower=box.tower))
            session.commit()
        for name in names:
            self.later(self.random.uniform(0, 600), partial(self.land, self.boxes[name]))

    def later(self, minutes: float, do: Callable[[], None]) -> None:
        at = self.now + timedelta(minutes=minutes)
        heapq.heappush(self.events, (at, next(self.number), do))

    def land(self, box: Box) -> None:
        box.phase = "ground"
        self.said["landings"] += 1
        leaves = self.now + timedelta(minutes=box.random.uniform(25, 90))
        self.beat(box, leaves)

    def beat(self, box: Box, leaves: datetime) -> None:
        if self.now >= leaves:
            box.phase = "climb"
            away = box.random.uniform(60, 480) if box.random.random() > 0.05 else 60 * 24 * 3
            self.later(away, partial(self.land, box))
            return
        if box.name in self.quiet:  # nothing comes of what it says
            self.later((leaves - self.now).total_seconds() / 60, partial(self.beat, box, leaves))
            return
        self.hear(box)
        self.later(box.random.uniform(6, 14), partial(self.beat, box, leaves))

    def hear(self, box: Box) -> None:
        self.said["heartbeats"] += 1
        body = box.body(self.now)
        with self.tools.session() as session:
            _, jobs = heartbeat.receive(session, box.tower, body, NOTHING_DUE, self.now)
        for job in jobs:
            self.whose[job.id] = box.name
            self.queue.append(job.id)
        self.work()

    def work(self) -> None:
        """The worker takes what waits, as long as it has a slot."""
        while self.queue and len(self.calls) < SLOTS:
            self.said["jobs"] += 1
            self.go_on(Call(self, self.queue.popleft()))

    def go_on(self, call: Call) -> None:
        if call in self.calls:
            self.calls.remove(call)
        if call.onward():
            self.said["calls"] += 1
            self.calls.append(call)
            self.later(self.random.uniform(1, 10), partial(self.ended, call))
        self.after(call)

    def ended(self, call: Call) -> None:
        if call in self.calls:
            self.go_on(call)
            self.work()

    def restart(self) -> None:
        """The hangar goes down and comes up again: what it was doing is lost."""
        self.said["restarts"] += 1
        for call in self.calls:
            call.fate = "killed"
            call.onward()
        self.calls.clear()
        self.queue.clear()
        performing.begin(self.tools, [work.CAMPAIGN])
        self.work()

    def order(self, **words: Any) -> dict[str, Any]:
        order = Order(operator="ops@desk", name="c", **words)
        with self.tools.session() as session:
            (said,) = campaign_orders.carry_out(session, order, NoShelf(), self.now)
            session.commit()
        return said

    def start(self, plan: Plan) -> dict[str, Any]:
        return self.order(do="start", kind=KIND, version=NEW, plan=plan.plain())

    def look(self) -> dict[str, Any]:
        with self.tools.session() as session:
            (said,) = campaign_seen.seen(session, self.now, "c")
        return said

    def standing(self, session: Session) -> tuple[store.Campaign, Any]:
        one = store.held(session, "c")
        assert one is not None
        return one, store.standing(session, one)

    def fly(self, minutes: float) -> None:
        """Lets time pass."""
        end = self.now + timedelta(minutes=minutes)
        while self.events and self.events[0][0] <= end:
            self.now, _, do = heapq.heappop(self.events)
            do()
        self.now = end
