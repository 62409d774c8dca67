"""What operators do to each other and to themselves: two at once, and one who is killed at the keyboard."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep

from ci.faults.case import Case
from ci.faults.converge import wanted
from ci.faults.converge.aftermath import ends_well
from ci.faults.converge.stand import Stand
from ci.faults.under_test import HOST
from ci.faults.way import Way
from ci.story.teller import NotSo
from ci.story.world import TOP

LIMITS = "/etc/systemd/journald.conf.d/turnaround.conf"
UNIT = "systemd-journald"
LATE_S = 1.2  # a whole converge takes less
FAB_UP = 40_000  # about what a whole converge of the role sends


def two(stand: Stand, chance: Random) -> str:
    """Two operators converge the host to two different things at once."""
    one, other = stand.generation + 1, stand.generation + 2
    late = chance.uniform(0, LATE_S)

    def second() -> int:
        sleep(late)
        return _refused_or_done(stand, other)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(second)
        codes = (_refused_or_done(stand, one), coming.result())
    seen = stand.quiet()
    is_one, is_other = seen.is_of(one), seen.is_of(other)
    if not (is_one or is_other) or 0 not in codes:
        raise NotSo(f"exits {codes}: the host is neither what the one nor what the other wants")
    if is_other and not is_one and codes[1] != 0:
        raise NotSo(f"exits {codes}: who was refused has changed the host all the same")
    stand.generation = one if is_one else other
    fact = ends_well(stand, other + 1)
    return f"one was refused; {fact}" if 4 in codes else f"one after the other; {fact}"


def _refused_or_done(stand: Stand, generation: int) -> int:
    """Converges; whoever is refused is told by what."""
    said = stand.operate(wanted.catalog(generation))
    if said.code != 0:
        held = "is being changed by" in said.text
        said.expect("fab resume --target" if held else "converge again", code=4)
    return said.code


@dataclass(frozen=True)
class Desk:
    """An operator's desk: an inventory with the host in it, and `./fab`."""

    folder: Path
    stand: Stand

    def fab(
        self, way: Way, limit_mb: int, *more: str, command: str = "converge"
    ) -> subprocess.Popen[str]:
        """Starts `./fab converge`, or another command, over this way, in a process of its own."""
        entry = f"  {HOST}: {{groups: [bare], address: 127.0.0.1, port: {way.port}, user: root}}\n"
        (self.folder / "inventory.yml").write_text(
            f"fleet: faults\nvars: {{journal_max: {limit_mb}M}}\n"
            f"groups:\n  bare: {{roles: [logs]}}\nhosts:\n{entry}"
        )
        argv = [str(TOP / "fab"), command, "--target", HOST, "--json", *more]
        return subprocess.Popen(
            [*argv, "--inventory", str(self.folder / "inventory.yml")],
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def to_the_end(self, limit_mb: int, *more: str, command: str = "converge") -> dict[str, object]:
        """Converges, or does another command, to the end; `NotSo` when that is not exit 0."""
        with self.stand.way() as way:
            process = self.fab(way, limit_mb, *more, command=command)
            said, complained = process.communicate(timeout=300)
        if process.returncode:
            raise NotSo(f"./fab {command} exited {process.returncode}: {said}{complained}")
        found: dict[str, object] = json.loads(said)
        return found


def at_the_keyboard(stand: Stand, chance: Random) -> str:
    """`./fab converge` is killed when so many bytes went to the host; what it began goes on there."""
    return _killed(stand, chance, resumes=False)


def resumed(stand: Stand, chance: Random) -> str:
    """The same, and somebody collects at once what became of that run."""
    return _killed(stand, chance, resumes=True)


def _killed(stand: Stand, chance: Random, resumes: bool) -> str:
    with TemporaryDirectory() as folder:
        desk = Desk(Path(folder), stand)
        shutil.copytree(stand.lab.ops_key.parent, desk.folder / "keys")
        (desk.folder / "enrolled").mkdir()
        key = stand.lab.host(HOST).tree.host_key
        (desk.folder / "enrolled" / f"{HOST}.yml").write_text(f"host_key: {key}\n")
        stand.shell(f"systemctl reset-failed {UNIT}")  # more restarts in a row than systemd likes
        desk.to_the_end(200)
        limit = 201 + chance.randrange(500)
        with stand.way() as way:
            process = desk.fab(way, limit)
            way.at_up(chance.randint(0, FAB_UP), process.kill)
            process.communicate(timeout=120)
        if resumes:
            desk.to_the_end(limit, command="resume")
        stand.quiet()
        desk.to_the_end(limit)
        again = desk.to_the_end(limit, "--check")
        if again["status"] != "no change":
            raise NotSo(f"after the next run: {again}")
    _restarted(stand, limit)
    ends_well(stand, stand.generation + 1)
    return (
        "killed, and the next command finished it" if process.returncode else "it was over before"
    )


def _restarted(stand: Stand, limit: int) -> None:
    """The limit is in the file, and the journal was restarted after it came there."""
    changed, content = stand.shell(f"stat --format=%.Y {LIMITS}; cat {LIMITS}").split("\n", 1)
    said = stand.shell(
        f'date +%s.%N -d "$(systemctl show {UNIT} --timestamp=us+utc -P ActiveEnterTimestamp)"'
    )
    if f"={limit}M" not in content or float(said) < float(changed):
        raise NotSo(f"the journal was restarted at {said}, its limits are of {changed}: {content}")


CASES = [
    Case(
        "two operators at once",
        "two converge to different generations, the second up to 1.2 s later",
        "the host is wholly what one of them wants; who is refused is told why",
        two,
    ),
    Case(
        "operator killed",
        "kill -9 of ./fab converge within the 40 kB that it sends",
        "the next ./fab converge finishes; the journal restarted after its limits changed",
        at_the_keyboard,
    ),
    Case(
        "operator killed, run resumed",
        "the same, then fab resume at once",
        "fab resume waits for the end of that run and tells it, exit 0",
        resumed,
    ),
]
