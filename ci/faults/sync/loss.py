"""Eight writers, a sealer and an applier that are killed, a link that is cut: what of it all came.

Beside it two readers do what looks obvious, every few hundredths of a second: they take whatever is newer
than the newest seen so far, by time (`updated_at > last`) or by number (`seq > last`). A transaction that
commits late is older than what they saw.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from psycopg2.extras import execute_values

from ci.faults.sync.edits import key
from ci.faults.sync.hand import Worker
from ci.faults.sync.nodes import Node, Nodes, said
from ci.faults.sync.order import STEPS

WRITERS = 8
SLOW, ROLLED_BACK = 0.03, 0.05
SLOW_S = (0.01, 0.06)
KILLED, CUT = 0.8, 0.3
KILL_S = 0.06
PAUSE_S = 0.02
LOOK_S = 0.02
NAIVE = (
    "create table naive (seq bigint generated always as identity, pk uuid, "
    "updated_at timestamptz default clock_timestamp())"
)


@dataclass
class Loss:
    """What one run came to, in rows; `kills` and `cuts` are how often somebody was hindered."""

    changes: int = 0
    lost: int = 0
    twice: int = 0
    never_committed: int = 0
    lost_by_time: int = 0
    lost_by_number: int = 0
    kills: int = 0
    cuts: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Loss) -> Loss:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


class Thread(threading.Thread):
    """A thread that runs from its making, and whose error is raised where its end is waited for."""

    def __init__(self, do: Callable[..., None], *args: object) -> None:
        super().__init__(daemon=True)
        self._do, self._with = do, args
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Does it."""
        try:
            self._do(*self._with)
        except BaseException as error:
            self._error = error

    def end(self) -> None:
        """Waits for its end."""
        self.join()
        if self._error:
            raise self._error


class _Naive:
    """What the two obvious readers saw."""

    def __init__(self, aircraft: Node) -> None:
        self._aircraft = aircraft
        self.by_time: set[str] = set()
        self.by_number: set[str] = set()
        self._time, self._number = "-infinity", 0

    def follow(self, over: threading.Event) -> None:
        """Looks again and again, and once more when all is over."""
        while not over.wait(LOOK_S):
            self.look()
        self.look()

    def look(self) -> None:
        """Takes what is newer than all before it."""
        ask = self._aircraft.ask
        for pk, at in ask(
            "select pk::text, updated_at from naive where updated_at > :t", t=self._time
        ):
            self.by_time.add(pk)
            self._time = max(self._time, at) if self._time != "-infinity" else at
        for pk, seq in ask("select pk::text, seq from naive where seq > :n", n=self._number):
            self.by_number.add(pk)
            self._number = max(self._number, seq)


def _write(aircraft: Node, chance: Random, rows: int, most: int, committed: set[str]) -> None:
    """Commits so many rows, in transactions of up to `most`; some are slow, some rolled back."""
    raw: Any = aircraft.engine.raw_connection()
    left = rows
    with raw.cursor() as cursor:
        while left > 0:
            time.sleep(chance.uniform(0, PAUSE_S))
            ids = [key(chance) for _ in range(min(left, chance.randint(1, most)))]
            insert = "insert into usage_event (id, kind, aircraft) values %s"
            execute_values(cursor, insert, [(one, "play", aircraft.name) for one in ids])
            execute_values(cursor, "insert into naive (pk) values %s", [(one,) for one in ids])
            if chance.random() < SLOW:
                time.sleep(chance.uniform(*SLOW_S))
            if chance.random() < ROLLED_BACK:
                raw.rollback()
            else:
                raw.commit()
                committed.update(ids)
                left -= len(ids)
    raw.close()


def harness(
    nodes: Nodes,
    sealer: Worker,
    applier: Worker,
    aircraft: Node,
    seed: int,
    changes: int,
    most: int,
) -> Loss:
    """Writes so many changes aboard, and has them sealed, pushed and applied the while; what was lost.

    Args:
        nodes: the hangar's.
        sealer: seals and pushes.
        applier: applies at the hangar.
        aircraft: a new one, of which nothing came yet.
        seed: chooses who is killed and when.
        changes: rows to commit.
        most: rows of one transaction.
    """
    loss, naive = Loss(), _Naive(aircraft)
    aircraft.sql(NAIVE)
    committed: list[set[str]] = [set() for _ in range(WRITERS)]
    shares = [changes // WRITERS + (number < changes % WRITERS) for number in range(WRITERS)]
    over = threading.Event()
    writers = [
        Thread(_write, aircraft, Random(f"{seed}/{number}"), shares[number], most, mine)
        for number, mine in enumerate(committed)
    ]
    beside = [
        Thread(_apply, nodes, applier, aircraft, Random(f"{seed}/apply"), over, loss),
        Thread(naive.follow, over),
    ]
    try:
        _seal(nodes, sealer, aircraft, Random(f"{seed}/seal"), writers, loss)
    finally:
        over.set()
        for thread in (*writers, *beside):
            thread.end()
    _settle(nodes, sealer, applier, aircraft, loss)
    _count(nodes.hangar, aircraft, set().union(*committed), naive, loss)
    return loss


def _seal(
    nodes: Nodes,
    sealer: Worker,
    aircraft: Node,
    chance: Random,
    writers: Sequence[Thread],
    loss: Loss,
) -> None:
    """Seals and pushes for as long as somebody writes."""
    while any(writer.is_alive() for writer in writers):
        _hindered(sealer, aircraft.order("seal", **_killed(chance, "seal")), chance, loss)
        if chance.random() < CUT:
            nodes.cut(aircraft).write_text(str(chance.randint(0, 3000)))
        sealer.do(nodes.session(aircraft, "push"))
        loss.cuts += _was_cut(nodes.cut(aircraft))
        nodes.cut(aircraft).unlink(missing_ok=True)


def _was_cut(cut: Path) -> bool:
    """Whether as many bytes passed as were to pass; fewer than that is a push that came to its end."""
    return cut.exists() and cut.read_text() == "0"


def _killed(chance: Random, what: str) -> dict[str, Any]:
    """A named step to be killed at, or none."""
    if chance.random() >= KILLED / 2:
        return {}
    return {"fault": "kill", "step": f"{what} {chance.choice(STEPS[what])}"}


def _hindered(worker: Worker, order: Any, chance: Random, loss: Loss) -> None:
    """Does an order, which may be killed at its step, or at any moment."""
    running = worker.start(order)
    if not order.fault and chance.random() < KILLED / 2:
        running.kill_in(chance.uniform(0, KILL_S))
    loss.kills += running.wait().killed


def _apply(
    nodes: Nodes,
    applier: Worker,
    aircraft: Node,
    chance: Random,
    over: threading.Event,
    loss: Loss,
) -> None:
    mine = Loss()
    while not over.is_set():
        order = nodes.hangar.order("apply", peer=aircraft.name, **_killed(chance, "apply"))
        _hindered(applier, order, chance, mine)
    loss.kills += mine.kills


def _settle(nodes: Nodes, sealer: Worker, applier: Worker, aircraft: Node, loss: Loss) -> None:
    """Lets everything run to its end, unhindered."""
    last = nodes.hangar.order("apply", peer=aircraft.name)
    for worker, order in (
        (sealer, aircraft.order("seal")),
        (sealer, nodes.session(aircraft, "push")),
        (applier, last),
    ):
        loss.wrong += [each for each in said(worker.do(order)) if each]


def _count(hangar: Node, aircraft: Node, committed: set[str], naive: _Naive, loss: Loss) -> None:
    query = "select id::text from usage_event where aircraft = :name"
    came = {one for (one,) in hangar.ask(query, name=aircraft.name)}
    [(rows,)] = hangar.ask(
        "select coalesce(sum(rows), 0) from sync.applied where peer = :name", name=aircraft.name
    )
    loss.changes = len(committed)
    loss.lost = len(committed - came)
    loss.never_committed = len(came - committed)
    loss.twice = max(0, int(rows) - len(came))
    if int(rows) < len(came):
        loss.wrong.append(f"{len(came)} rows came, and the ledger has {rows}")
    loss.lost_by_time = len(committed - naive.by_time)
    loss.lost_by_number = len(committed - naive.by_number)


def seeds(nodes: Nodes, numbers: range, changes: int, most: int = 5) -> Iterator[tuple[int, Loss]]:
    """Runs the harness once for each seed, with an aircraft of its own, and yields what it came to."""
    with Worker() as sealer, Worker() as applier:
        for seed in numbers:
            aircraft = nodes.node(f"EC-{seed:03d}", "aircraft")
            try:
                yield seed, harness(nodes, sealer, applier, aircraft, seed, changes, most)
            finally:
                nodes.remove(aircraft)
