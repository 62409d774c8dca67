"""`inv bench.converge`: the reference role on one bare host, by us, by pyinfra, and the least it can cost.

They alternate in one run on one host, because the machine is shared: what is told are ratios of medians.
Everything is as declared already, so all of them only look.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ci.bench import peers
from ci.bench.delay import Delay
from ci.bench.reference import wanted
from ci.bench.table import Row
from ci.lab import Lab
from fleet.errors import FleetError

TOP = Path(__file__).resolve().parents[2]
DEPLOY = TOP / "ci/bench/reference/deploy.py"
OURS, PEERS = "EC-TAA", "EC-TAB"
SLOW_S = 0.3
ROUNDS = {0.0: 3, SLOW_S: 2}
BARE_HAS = 4  # sshd runs, and a package may bring its service up before it is asked for
COPIES = 14  # of the files: about 330 resources
RUN_S = 600


@dataclass
class Series:
    """What one contender took: the whole command, and from connecting to the answer (seconds)."""

    commands: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    trips: int = 0


@dataclass(frozen=True)
class Bench:
    """A bare host behind a slow way, and the keys to it."""

    way: Delay
    key: Path
    host_key: str
    programs: Path
    folder: Path

    def contender(self, name: str, *more: str) -> tuple[float, dict[str, Any]]:
        """Runs one of ours; returns the whole command's seconds and what it said."""
        argv = [sys.executable, "-m", "ci.bench.contenders", name, str(self.way.port)]
        seconds, done = _timed([*argv, str(self.key), self.host_key, *more])
        found: dict[str, Any] = json.loads(done.stdout)
        if found["errors"] or (found["changes"] and name != "apply"):
            raise FleetError(f"{name}: expected nothing to change, found {found}")
        return seconds, found

    def pyinfra(self, settling: bool = False) -> float:
        """Runs pyinfra; returns the whole command's seconds.

        Args:
            settling: it may change something.
        """
        inventory = self.folder / "inventory.py"
        data = {
            "ssh_port": self.way.port,
            "ssh_user": "root",
            "ssh_key": str(self.key),
            "ssh_known_hosts_file": str(self.folder / "known_hosts"),
        }
        inventory.write_text(f"reference = [('127.0.0.1', {data!r})]\n")
        argv = [str(self.programs / "pyinfra"), "-y", str(inventory), str(DEPLOY)]
        # It writes its log where it is started.
        seconds, done = _timed(argv, self.folder)
        total = [line for line in (done.stdout + done.stderr).splitlines() if "Grand total" in line]
        # Operations, and at the end how many of them had nothing to change.
        if not settling and [line.split()[2::3] for line in total] != [[str(wanted.COUNT)] * 2]:
            raise FleetError(f"pyinfra: expected {wanted.COUNT} times no change, found {total}")
        return seconds


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
        with tempfile.TemporaryDirectory() as folder:

            def behind(host: str, rtt_s: float) -> Bench:
                at = lab.host(host)
                way = Delay((at.plan.first_contact, 22), rtt_s)
                return Bench(way, lab.ops_key, at.tree.host_key, programs, Path(folder))

            rows = _first(behind(OURS, SLOW_S), behind(PEERS, SLOW_S), say)
            for rtt_s, rounds in ROUNDS.items():
                bench = behind(OURS, rtt_s)
                with bench.way:
                    if not rtt_s:
                        _settle(bench, say)
                    rows += _compare(bench, rtt_s, rounds, say)
            return rows
    finally:
        lab.down()


def _first(mine: Bench, theirs: Bench, say: Callable[[str], None]) -> list[Row]:
    """The first converge of a bare host each, once: everything changes, no package is fetched."""
    say("bench: the first converge of a bare host, ours")
    with mine.way:
        ours, found = mine.contender("apply")
    if len(found["changes"]) < wanted.COUNT - BARE_HAS:
        raise FleetError(f"the first converge: expected a bare host, found {found['changes']}")
    say("bench: the first converge of a bare host, pyinfra's")
    with theirs.way:
        pyinfra = theirs.pyinfra(settling=True)
    at = f"at {SLOW_S * 1000:.0f} ms"
    return [
        Row(f"first converge, ours {at}", ours, "s"),
        Row(f"first converge, pyinfra {at}", pyinfra, "s"),
        Row(f"first converge, faster than pyinfra {at}", pyinfra / ours, "×", 5, at_least=True),
        Row(f"first converge, trips {at}", found["trips"], "", 12),
    ]


def _settle(bench: Bench, say: Callable[[str], None]) -> None:
    """Applies the role with each tool, so that each then finds everything as declared."""
    say("bench: making the host what the reference role says to both")
    bench.contender("apply", str(COPIES))
    bench.pyinfra(settling=True)
    bench.contender("apply", str(COPIES))


def _compare(bench: Bench, rtt_s: float, rounds: int, say: Callable[[str], None]) -> list[Row]:
    at = f"at {rtt_s * 1000:.0f} ms"
    ours, limit, many, pyinfra = Series(), Series(), Series(), Series()
    for number in range(rounds + 1):
        say(f"bench: {at}, round {number} of {rounds}{' (warm-up)' if number == 0 else ''}")
        for series, name, copies in (
            (limit, "limit", 1),
            (ours, "look", 1),
            (many, "look", COPIES),
        ):
            before = bench.way.bytes
            seconds, found = bench.contender(name, str(copies))
            if number:
                series.commands.append(seconds)
                series.answers.append(found["seconds"])
                series.bytes.append(bench.way.bytes - before)
                series.trips = found.get("trips", 0)
        seconds = bench.pyinfra()
        if number:
            pyinfra.commands.append(seconds)
    slow = bool(rtt_s)
    faster = median(pyinfra.commands) / median(ours.commands)
    return [
        Row(f"Fabric connect + one exec {at}", median(limit.answers), "s"),
        Row(f"ours, {wanted.COUNT} resources {at}", median(ours.answers), "s"),
        Row(
            f"ours / Fabric connect + one exec {at}",
            median(ours.answers) / median(limit.answers),
            "×",
            1.3 if slow else None,
        ),
        Row(f"the whole command, ours {at}", median(ours.commands), "s"),
        Row(f"the whole command, pyinfra {at}", median(pyinfra.commands), "s"),
        Row(f"faster than pyinfra {at}", faster, "×", 15 if slow else 5, at_least=True),
        Row(f"ten times the resources {at}", median(many.answers) / median(ours.answers), "×", 1.5),
        Row(f"bytes both ways {at}", median(ours.bytes) / 1000, "kB", 25),
        Row(f"trips {at}", ours.trips, "", 10),
    ]


def _timed(argv: list[str], folder: Path = TOP) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.perf_counter()
    done = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, check=False, timeout=RUN_S
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1500:]
        raise FleetError(f"{' '.join(argv[:3])} exited {done.returncode}: {said}")
    return seconds, done
