"""What needs real hosts: the power goes while a step is held, or the link in the middle of a transfer.

Nobody does anything afterwards: the host boots, and its agent must bring both ends to the same by itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any

from ci.faults.case import Case
from ci.faults.sync.fleet import AIRCRAFT, HALF, HANGAR, Fleet
from ci.faults.sync.matrix import EXPECTED, PLACES
from ci.faults.sync.order import Ended, Order
from ci.faults.sync.stand import Stand
from ci.story.teller import NotSo, eventually

SLOW_KBIT = 2000
UP_ROWS = 40_000
PAPER = 1_500_000
MOVED = 150_000  # bytes on the link when it is cut
LOST_S = 150.0
TRIES = 3  # what a heartbeat before the row has started may be there first
# Two minutes each, until the tower stands again: one after a commit, one before.
AT_HANGAR = ("seal committed", "apply ledger")


def power(where: str, step: str, stand: Stand, chance: Random) -> str:
    """A row's act: the power of that host goes at this step."""
    fleet = stand.fleet
    host = AIRCRAFT if where == "aircraft" else HANGAR
    ended: Ended | None = None
    for _ in range(TRIES):
        fleet.edit(chance)
        order = _before(fleet, where, step)
        with fleet.worker(host) as worker:
            ended = worker.start(order).held()
            if ended is None:
                stand.lab.power(host, on=False)
                break
    else:
        raise NotSo(f"{step} at the {where} was never come to: {ended}")
    stand.lab.power(host, on=True)
    fleet.reached()
    half = fleet.left(AIRCRAFT, HALF)
    if half:
        raise NotSo(f"half of something is visible: {half}")
    fleet.heals()
    return "healed by itself"


def _before(fleet: Fleet, where: str, step: str) -> Order:
    """Does what comes before the step, and returns the order that comes to it."""
    hold: dict[str, Any] = {"fault": "hold", "step": step}
    if where == "aircraft" and not step.startswith("ack"):
        return Order("session", {}, **hold)
    with fleet.worker(AIRCRAFT) as worker:
        worker.do(Order("session", {}))
    if where == "hangar":
        return Order("ingest", {}, peer=AIRCRAFT, **hold)
    with fleet.worker(HANGAR) as worker:
        worker.do(Order("ingest", {}, peer=AIRCRAFT))
    acks = {
        stream: {"epoch": epoch, "seq": int(seq), "sha256": sha256}
        for stream, epoch, seq, sha256 in fleet.world.sql(
            HANGAR, f"select stream, epoch, seq, sha256 from sync.cursor where peer = '{AIRCRAFT}'"
        )
    }
    return Order("accept", {}, acks=acks, **hold)


def link(way: int, stand: Stand, chance: Random) -> str:
    """A row's act: the link is cut without a word when some of a transfer has passed."""
    fleet, lab = stand.fleet, stand.lab
    fleet.edit(chance, events=UP_ROWS if way == 0 else 3, paper=PAPER)
    lab.link(AIRCRAFT, up=True, kbit=SLOW_KBIT, rtt_ms=80)
    before = fleet.world.link_bytes()[AIRCRAFT][way]
    with ThreadPoolExecutor(1) as pool, fleet.worker(AIRCRAFT) as worker:
        running = pool.submit(worker.do, Order("session", {}))
        eventually(
            "some of it has passed",
            lambda: fleet.world.link_bytes()[AIRCRAFT][way] - before > MOVED,
            within_s=LOST_S,
            every_s=0.05,
        )
        lab.link(AIRCRAFT, up=False)
        # The connection of ops goes the same way, and ends when it is silent for too long.
        running.exception(LOST_S)
    lab.link(AIRCRAFT, up=True, kbit=0, rtt_ms=0)
    fleet.reached()
    fleet.heals()
    return "healed by itself"


CELLS: dict[str, list[Case[Stand]]] = {
    "power": [
        Case(
            f"power cut at {step}, {where}",
            "the step is held, every process of the host is killed; it boots, and nobody types",
            EXPECTED,
            partial(power, where, step),
        )
        for where, steps in (("aircraft", PLACES["aircraft"]), ("hangar", AT_HANGAR))
        for step in steps
    ],
    "link": [
        Case(
            f"link cut while {what}",
            f"at {SLOW_KBIT / 1000:g} Mbit/s nothing passes any more after {MOVED} bytes",
            EXPECTED,
            partial(link, way),
        )
        for way, what in enumerate(("pushing", "fetching"))
    ],
}
CASES = [case for cells in CELLS.values() for case in cells]
