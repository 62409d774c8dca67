"""`inv bench.converge`: the reference role on one bare host, by us, by the peers, and the least it can cost.

They alternate in one run on one host, because the machine is shared: what is told are ratios of medians.
Everything is as declared already, so all of them only look; and once it is not, on a host each.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ci.bench import many, peers
from ci.bench.delay import Delay
from ci.bench.reference import wanted
from ci.bench.rivals import ANSIBLE, Measured, Rivals, Target, timed
from ci.bench.table import Row
from ci.lab import Lab
from fleet.errors import FleetError

OURS, PEERS = "EC-TAA", "EC-TAB"
SLOW_S = 0.3
ROUNDS = {0.0: 3, SLOW_S: 2}
BARE_HAS = 4  # sshd runs, and a package may bring its service up before it is asked for
COPIES = 15  # of the files: 341 resources, the goal speaks of 330


@dataclass
class Series:
    """What one contender took: the whole command, and from connecting to the answer (seconds)."""

    commands: list[Measured] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    trips: int = 0

    @property
    def seconds(self) -> float:
        return median(each.seconds for each in self.commands)

    @property
    def cpu_s(self) -> float:
        return median(each.cpu_s for each in self.commands)


@dataclass(frozen=True)
class Bench:
    """A bare host behind a slow way, and those who come to it."""

    way: Delay
    host_key: str
    rivals: Rivals

    @property
    def target(self) -> Target:
        return Target("reference", self.way.port)

    def contender(self, name: str, *more: str) -> tuple[Measured, dict[str, Any]]:
        """Runs one of ours; returns what the whole command took and what it said."""
        argv = [sys.executable, "-m", "ci.bench.contenders", name, str(self.way.port)]
        done = timed([*argv, str(self.rivals.key), self.host_key, *more])
        found: dict[str, Any] = json.loads(done.output)
        if found["errors"] or (found["changes"] and name not in ("apply", "admit")):
            raise FleetError(f"{name}: expected nothing to change, found {found}")
        return done, found


def run(say: Callable[[str], None]) -> list[Row]:
    """Measures and returns the table's rows.

    Args:
        say: takes lines of progress.

    Raises:
        FleetError: the lab cannot be had, or somebody's run changed what should be as declared.
    """
    programs = peers.environment(say)
    lab = Lab.load("bench")
    lab.up(2)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rivals = Rivals(programs, folder, lab.ops_key, folder / "known_hosts")

            def behind(host: str, rtt_s: float) -> Bench:
                at = lab.host(host)
                way = Delay((at.plan.first_contact, 22), rtt_s)
                return Bench(way, at.tree.host_key, rivals)

            rows = _first(behind(OURS, SLOW_S), behind(PEERS, SLOW_S), say)
            for rtt_s, rounds in ROUNDS.items():
                bench = behind(OURS, rtt_s)
                with bench.way:
                    _know(rivals, [bench])
                    if not rtt_s:
                        _settle(bench, say)
                    rows += _compare(bench, rtt_s, rounds, say)
            both = [behind(OURS, 0), behind(PEERS, 0)]
            with ExitStack() as ways:
                for each in both:
                    ways.enter_context(each.way)
                _know(rivals, both)
                for each in both:
                    _settle(each, say)
                    each.contender("admit")
                return rows + many.compare(
                    rivals, [(each.way.port, each.host_key) for each in both], say
                )
    finally:
        lab.down()


def _know(rivals: Rivals, benches: list[Bench]) -> None:
    """Lets the peers know the hosts' keys, as a user's known_hosts would."""
    lines = [f"[127.0.0.1]:{each.way.port} {each.host_key}\n" for each in benches]
    rivals.known_hosts.write_text("".join(lines))


def _first(mine: Bench, theirs: Bench, say: Callable[[str], None]) -> list[Row]:
    """The first converge of a bare host each, once: everything changes, no package is fetched."""
    say("bench: the first converge of a bare host, ours")
    with mine.way:
        done, found = mine.contender("apply")
    ours = done.seconds
    if len(found["changes"]) < wanted.COUNT - BARE_HAS:
        raise FleetError(f"the first converge: expected a bare host, found {found['changes']}")
    say("bench: the first converge of a bare host, pyinfra's")
    with theirs.way:
        _know(theirs.rivals, [theirs])
        pyinfra = theirs.rivals.pyinfra([theirs.target], settling=True).seconds
    at = f"at {SLOW_S * 1000:.0f} ms"
    return [
        Row(f"first converge, ours {at}", ours, "s"),
        Row(f"first converge, pyinfra {at}", pyinfra, "s"),
        Row(f"first converge, faster than pyinfra {at}", pyinfra / ours, "×", 5, at_least=True),
        Row(f"first converge, trips {at}", found["trips"], "", 12),
    ]


def _settle(bench: Bench, say: Callable[[str], None]) -> None:
    """Applies the role with each tool, so that each then finds everything as declared."""
    say("bench: making the host what the reference role says to all")
    bench.contender("apply", str(COPIES))
    bench.rivals.pyinfra([bench.target], settling=True)
    bench.rivals.ansible("ansible, pipelining", [bench.target], settling=True)
    bench.contender("apply", str(COPIES))


def _compare(bench: Bench, rtt_s: float, rounds: int, say: Callable[[str], None]) -> list[Row]:
    at = f"at {rtt_s * 1000:.0f} ms"
    ours, limit, larger, pyinfra = Series(), Series(), Series(), Series()
    for number in range(rounds + 1):
        say(f"bench: {at}, round {number} of {rounds}{' (warm-up)' if number == 0 else ''}")
        for series, name, copies in (
            (limit, "limit", 1),
            (ours, "look", 1),
            (larger, "look", COPIES),
        ):
            before = bench.way.bytes
            done, found = bench.contender(name, str(copies))
            if number:
                series.commands.append(done)
                series.answers.append(found["seconds"])
                series.bytes.append(bench.way.bytes - before)
                series.trips = found.get("trips", 0)
        done = bench.rivals.pyinfra([bench.target])
        if number:
            pyinfra.commands.append(done)
    slow = bool(rtt_s)
    faster = pyinfra.seconds / ours.seconds
    larger_is = median(larger.answers) / median(ours.answers)
    return [
        Row(f"Fabric connect + one exec {at}", median(limit.answers), "s"),
        Row(f"ours, {wanted.COUNT} resources {at}", median(ours.answers), "s"),
        Row(
            f"ours / Fabric connect + one exec {at}",
            median(ours.answers) / median(limit.answers),
            "×",
            1.3 if slow else None,
        ),
        Row(f"the whole command, ours {at}", ours.seconds, "s"),
        Row(f"the whole command, pyinfra {at}", pyinfra.seconds, "s"),
        Row(f"faster than pyinfra {at}", faster, "×", 15 if slow else 5, at_least=True),
        Row(f"ten times the resources {at}", larger_is, "×", 1.5),
        Row(f"bytes both ways {at}", median(ours.bytes) / 1000, "kB", 25),
        Row(f"trips {at}", ours.trips, "", 10),
        Row(f"processor time here, ours {at}", ours.cpu_s, "s"),
        Row(f"processor time here, pyinfra {at}", pyinfra.cpu_s, "s"),
        *_ansible(bench, at, ours.seconds, say),
    ]


def _ansible(bench: Bench, at: str, ours: float, say: Callable[[str], None]) -> list[Row]:
    """Ansible's ways, once each: they are told, and no goal hangs on them."""
    rows = []
    for how in ANSIBLE:
        say(f"bench: {at}, {how}")
        seconds = bench.rivals.ansible(how, [bench.target]).seconds
        rows.append(Row(f"{how} {at}", seconds, "s"))
        rows.append(Row(f"faster than {how} {at}", seconds / ours, "×"))
    return rows
