"""The matrix on real PostgreSQL: every step of a synchronisation met by every fault that needs no host.

Two ends stand on this machine, each with a database and a small file system of its own. What needs a host
is met in `hosts`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from ci.faults.case import Case
from ci.faults.sync import edits, seen
from ci.faults.sync.hindrance import FILLER
from ci.faults.sync.nodes import Node, said
from ci.faults.sync.order import STEPS, Ended, Order
from ci.faults.sync.stand import Ends, Stand
from ci.story.teller import NotSo
from sync.capture import models_of

AIRCRAFT, HANGAR = "aircraft", "hangar"
INTO_S = 0.05  # longer than most steps take
PAGES = 40  # of what a synchronisation needs
BYTES = {"session fetching": 30_000}  # what passes until a link is cut, at most
YEARS = (-10, 10)
PLACES = {
    AIRCRAFT: [f"{what} {step}" for what, steps in STEPS.items() for step in steps],
    HANGAR: [f"{what} {step}" for what in ("seal", "apply") for step in STEPS[what]],
}


def _value(fault: str, step: str, chance: Random) -> float:
    return {
        "kill": chance.choice([0.0, chance.uniform(0, INTO_S)]),
        "cut": chance.randint(0, BYTES.get(step, 3000)),
        "full": chance.choice([0, chance.randint(0, PAGES)]),
        "clock": chance.choice(YEARS),
    }[fault]


def hindered(ends: Ends, where: str, step: str, fault: str, value: float) -> Ended:
    """Synchronises, with the fault at a step of one end; `NotSo` where the step was never come to."""
    worker = ends.worker(fault)
    aircraft, nodes = ends.aircraft, ends.nodes
    more: dict[str, Any] = {"fault": fault, "step": step, "value": value}
    order: Order
    if where == AIRCRAFT:
        # What editors did is sealed, so that something comes down.
        _went(worker.do(nodes.ingest(aircraft)))
    if where == HANGAR:
        _went(worker.do(nodes.session(aircraft)))
        # The edits of users are what the hangar seals once it has applied them.
        order = nodes.ingest(aircraft, **more)
    elif step.startswith("ack"):
        _went(worker.do(nodes.session(aircraft)))
        _went(worker.do(nodes.ingest(aircraft)))
        order = aircraft.order("accept", acks=nodes.beat(aircraft).acks, **more)
    else:
        order = nodes.session(aircraft, **more)
    ended = worker.do(order)
    if not ended.met:
        raise NotSo(f"{step} at the {where} was never come to: {said(ended)}")
    return ended


def _went(ended: Ended) -> None:
    if said(ended):
        raise NotSo(f"what comes before the fault went wrong: {said(ended)}")


def cell(where: str, step: str, fault: str, stand: Stand, chance: Random) -> str:
    """A row's act: a synchronisation with the fault at this step, and those after it."""
    ends = stand.ends
    edits.everything(ends.nodes, ends.aircraft, chance)
    made, says = seen.made(ends.nodes), _catalogue(ends)
    ended = hindered(ends, where, step, fault, _value(fault, step, chance))
    _nothing_half(ends.aircraft)
    node = ends.aircraft if where == AIRCRAFT else ends.nodes.hangar
    (node.settings.state_dir / FILLER).unlink(missing_ok=True)
    if fault == "clock" and chance.random() < 0.5:
        # One more in the wrong time, then in the present.
        ends.nodes.land(ends.worker(fault), ends.aircraft)
    ends.present()
    _settled(ends, made)
    if _catalogue(ends) != says:
        raise NotSo("the catalogue at the hangar is not what editors made it")
    return "killed" if ended.killed else "broke off" if said(ended) else "ended all the same"


def _nothing_half(aircraft: Node) -> None:
    half = seen.half_visible(aircraft)
    if half:
        raise NotSo(f"half of something is visible: {half}")


def _catalogue(ends: Ends) -> dict[str, tuple[int, str]]:
    """What editors alone change."""
    return seen.digests(ends.nodes.hangar, [one.__tablename__ for one in models_of(HANGAR, "cat")])


def _settled(ends: Ends, made: seen.Made) -> None:
    left = ends.nodes.quiet(ends.worker("kill"))
    found = [*left, *seen.wrong(ends.nodes), *seen.lost(ends.nodes, made)]
    twice = seen.twice(ends.nodes)
    if twice:
        found.append(f"{twice} rows more were applied than there are")
    if found:
        raise NotSo("; ".join(found))


def restored(where: str, step: str, stand: Stand, chance: Random) -> str:
    """A row's act: killed at this step; then the database is yesterday's, and what is beside it today's."""
    ends = stand.fresh()
    nodes, aircraft = ends.nodes, ends.aircraft
    edits.everything(nodes, aircraft, chance)
    ends.settle()
    node = aircraft if where == AIRCRAFT else nodes.hangar
    with ends.yesterday(node) as restore:
        for _ in range(chance.randint(1, 2)):
            edits.everything(nodes, aircraft, chance)
            ends.settle()
        edits.everything(nodes, aircraft, chance)
        hindered(ends, where, step, "kill", 0)
        came, sealed = seen.keys(nodes.hangar, aircraft), seen.sealed(aircraft)
        restore()
    edits.everything(nodes, aircraft, chance)
    left = nodes.quiet(ends.worker("kill"))
    if where == HANGAR:
        # What it had is what goes back; aboard nothing does.
        return _healed(ends, [aircraft], left, {})
    must = {table: rows | sealed[table] for table, rows in came.items()}
    return _healed(ends, [aircraft], left, must)


def cloned(step: str, stand: Stand, chance: Random) -> str:
    """A row's act: killed at this step; then a second box begins with a copy of this one's database."""
    ends = stand.fresh()
    nodes, aircraft = ends.nodes, ends.aircraft
    edits.everything(nodes, aircraft, chance)
    ends.settle()
    edits.everything(nodes, aircraft, chance)
    hindered(ends, AIRCRAFT, step, "kill", 0)
    came = seen.keys(nodes.hangar, aircraft)
    clone = ends.clone("EC-TAZ")
    for _ in range(2):
        for one in (aircraft, clone):
            edits.everything(nodes, one, chance)
        left = nodes.quiet(ends.worker("kill"))
    return _healed(ends, [aircraft, clone], left, came)


def _healed(ends: Ends, aircraft: list[Node], left: list[str], must: dict[str, set[str]]) -> str:
    """Sees that all that is aboard is at the hangar, that nothing went from there, and the other way.

    Args:
        left: what was due or wrong at last.
        must: keys of the first aircraft that the hangar must have, whatever is aboard.
    """
    hangar = ends.nodes.hangar
    found = list(left)
    for one in aircraft:
        for table, rows in seen.own(one, one.name).items():
            there = seen.own(hangar, one.name)[table]
            lost = {key for key in rows if there.get(key) != rows[key]}
            lost |= must.get(table, set()) - set(there) if one is aircraft[0] else set()
            if lost:
                found.append(f"{one.name}: {len(lost)} rows of {table} are not at the hangar")
        found += seen.down(ends.nodes, one) + seen.left_over(one)
    if found:
        raise NotSo("; ".join(found))
    return "healed"


_DONE = {
    "kill": f"kill -9 of what synchronises, when it begins or up to {INTO_S:g} s later",
    "cut": "the link is cut, at once or some bytes later",
    "full": f"its ext4 has room for 0 to {PAGES} pages more",
    "clock": "the time is ten years off from here on",
}
EXPECTED = "the next synchronisations: nothing lost, nothing twice, nothing half visible, no orphan"
_CANNOT = {(HANGAR, "cut")}  # it has no link of its own

Act = Callable[[Stand, Random], str]


def _case(fault: str, where: str, step: str, done: str, act: Act) -> Case[Stand]:
    return Case(f"{fault} at {step}, {where}", done, EXPECTED, act)


CELLS: dict[str, list[Case[Stand]]] = {
    fault: [
        _case(fault, where, step, done, partial(cell, where, step, fault))
        for where, steps in PLACES.items()
        for step in steps
        if (where, fault) not in _CANNOT
    ]
    for fault, done in _DONE.items()
}
CELLS["restored"] = [
    _case(
        "restored",
        where,
        step,
        "killed; its database is yesterday's",
        partial(restored, where, step),
    )
    for where, steps in PLACES.items()
    for step in steps
]
CELLS["cloned"] = [
    _case("cloned", AIRCRAFT, step, "killed; a second box has its database", partial(cloned, step))
    for step in PLACES[AIRCRAFT]
]
CASES = [case for cells in CELLS.values() for case in cells]
