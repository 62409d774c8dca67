"""Five nodes in chaos: people edit at all of them, landings are cut and killed anywhere, then it is quiet.

Then every stream must be the same where it belongs: what aircraft made is at the hangar, and what the hangar
says is aboard each of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

from ci.faults.case import Case
from ci.faults.sync import edits, seen
from ci.faults.sync.hand import Worker
from ci.faults.sync.nodes import Node, Nodes, Server
from ci.faults.sync.order import STEPS
from ci.faults.sync.stand import Stand
from ci.story.teller import NotSo

AIRCRAFT = ("EC-TAA", "EC-TAB", "EC-TAC", "EC-TAD")
USERS = 6
INTO_S = 0.2  # a part of a landing takes about so long
ROUNDS = 12
TIMES = 5  # in the table
AT_HANGAR = [f"{what} {step}" for what in ("seal", "apply") for step in STEPS[what]]
ABOARD = AT_HANGAR + [f"{what} {step}" for what in ("session", "content") for step in STEPS[what]]


def chaos(server: Server, folder: Path, chance: Random, rounds: int, prefix: str) -> str:
    """Lets it be chaos for so many rounds, then quiet, and looks; `NotSo` when they are not the same.

    Args:
        server: where the databases are made.
        folder: where the hosts' folders are made.
        chance: chooses everything.
        rounds: of edits, and a landing of some aircraft.
        prefix: of the databases' names.
    """
    nodes = Nodes(server, folder, prefix)
    try:
        for name in AIRCRAFT:
            nodes.add(name)
        users = [edits.key(chance) for _ in range(USERS)]
        hurt = 0
        made: seen.Made = {}
        with Worker() as worker:
            for _ in range(rounds):
                _edit(nodes, chance, users)
                for name, tables in seen.made(nodes).items():
                    for table, rows in tables.items():
                        made.setdefault(name, {}).setdefault(table, set()).update(rows)
                hurt += _landing(nodes, worker, chance.choice(nodes.aircraft), chance)
            left = nodes.quiet(worker)
        _same(nodes, [*left, *seen.lost(nodes, made)])
        if not hurt:
            raise NotSo(f"expected some of {rounds} landings to be cut or killed, found none")
        return "all the same"
    finally:
        nodes.close()


def _edit(nodes: Nodes, chance: Random, users: list[str]) -> None:
    for aircraft in nodes.aircraft:
        if chance.random() < 0.6:
            edits.aboard(aircraft, chance, users)
    if chance.random() < 0.5:
        edits.at_hangar(nodes, chance)


def _landing(nodes: Nodes, worker: Worker, aircraft: Node, chance: Random) -> int:
    """A landing whose parts may be cut short; how many were. What follows them may not come at all."""
    hurt = 0
    for order, steps in ((nodes.session, ABOARD), (nodes.ingest, AT_HANGAR)):
        nodes.cut(aircraft).unlink(missing_ok=True)
        what = chance.random()
        fault: dict[str, Any] = {}
        if what < 0.4:
            fault = {"fault": "kill", "step": chance.choice(steps), "nth": chance.randint(1, 2)}
        elif what < 0.6:
            nodes.cut(aircraft).write_text(str(chance.randint(0, 20_000)))
        running = worker.start(order(aircraft, **fault))
        if what > 0.8:
            running.kill_in(chance.uniform(0, INTO_S))
        ended = running.wait()
        hurt += ended.killed or bool(ended.error)
        half = seen.half_visible(aircraft)
        if half:
            raise NotSo(f"half of something is visible: {half}")
    if chance.random() < 0.7:
        worker.do(aircraft.order("accept", acks=nodes.beat(aircraft).acks))
    return hurt


def _same(nodes: Nodes, left: list[str]) -> None:
    found = [*left, *seen.wrong(nodes)]
    twice = seen.twice(nodes)
    if twice:
        found.append(f"{twice} rows more were applied than there are")
    if found:
        raise NotSo("; ".join(found))


def five(stand: Stand, chance: Random) -> str:
    """A row's act."""
    with tempfile.TemporaryDirectory(dir=stand.folder) as folder:
        return chaos(stand.server, Path(folder), chance, ROUNDS, "five")


CASES = [
    Case(
        f"five nodes in chaos, {number}",
        "a hangar and four aircraft: random edits, landings cut and killed anywhere, then quiet",
        "every stream is the same everywhere, nothing is half visible at any moment",
        five,
    )
    for number in range(1, TIMES + 1)
]
