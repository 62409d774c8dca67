"""What the link carries again after each power cut of an aircraft: a film, and a large change-set.

Bytes are those of TCP, counted where they leave the hangar: a link that loses nothing carries each once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

from ci.bench.sync import gate
from ci.bench.table import Row
from ci.story import urgent
from ci.story.teller import eventually
from ci.story.world import World

MIB = 1 << 20
SIZE, SMALL = 64 * MIB, 8 * MIB
CUTS = 3
LINK = {"kbit": 20_000, "rtt_ms": 80, "loss": 0, "jitter_ms": 0}
WITHIN_S = 300.0
STATE = "var/lib/turnaround"
# IPv4 and TCP with its time stamps; what the kernel gathers for the tower has them once.
HEADERS = 52

_OFFER = """
import os, sys
from common.settings import Settings
folder = Settings.load().sync_dir / "outbox" / sys.argv[1] / "down" / "big" / "00000000"
folder.mkdir(parents=True, exist_ok=True)
(folder / "000000000001.cs").write_bytes(os.urandom(int(sys.argv[2])))
"""
_WITHDRAW = """
import shutil, sys
from common.settings import Settings
shutil.rmtree(Settings.load().sync_dir / "outbox" / sys.argv[1] / "down" / "big")
"""


def rows(full: bool) -> list[Row]:
    """Measures and returns the table's rows; with `full` files of 64 MiB.

    Raises:
        FleetError: the fleet cannot be had.
        NotSo: a file does not come.
    """
    world, size = gate.fleet(), SIZE if full else SMALL
    name = world.aircraft[0]
    here = world.lab.host(name).tree.root / STATE
    with gate.quiet(world, world.aircraft[1:]):
        world.lab.link(name, up=True, **LINK)
        film = urgent.publish(world, "film", size, 100, seed=5)
        staged = here / "content" / "staging" / film.sha256
        told = _cut(
            world, name, "film", size, [staged], lambda: film.item in urgent.shown(here / "content")
        )
        gate.run(world, "hangar", _OFFER, name, str(size))
        folder = here / "sync" / "inbox" / "hangar" / "down" / "big" / "00000000"
        told += _cut(
            world,
            name,
            "change-set",
            size,
            lambda: [*folder.glob(".0*"), *folder.glob(".part/*")],
            (folder / "000000000001.cs").exists,
            start=partial(_sync_now, world, name),
        )
        gate.run(world, "hangar", _WITHDRAW, name)
    return told


def _cut(
    world: World,
    name: str,
    what: str,
    size: int,
    coming: list[Path] | Callable[[], list[Path]],
    is_here: Callable[[], bool],
    start: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Lets something come while the power goes at even parts of it; returns what was seen."""

    def so_far() -> int:
        found = 0
        for path in coming() if callable(coming) else coming:
            with suppress(FileNotFoundError):
                found = max(found, path.stat().st_size)
        return found

    counted, had = [_left(world)], [so_far()]
    for mark in (size * (number + 1) // (CUTS + 1) for number in range(CUTS)):
        start()
        eventually(
            f"{mark} bytes of the {what} are here",
            lambda mark=mark: so_far() >= mark,  # type: ignore[misc]
            within_s=WITHIN_S,
            every_s=0.05,
        )
        world.lab.power(name, on=False)
        counted.append(_left(world))
        had.append(so_far())
        world.lab.power(name, on=True)
    start()
    eventually(f"the {what} is aboard", is_here, within_s=WITHIN_S, every_s=0.2)
    counted.append(_left(world))
    had.append(size)
    # What a run brought is what lies there when the next begins: what was under way at a cut comes again.
    sent, brought = ([after - before for before, after in pairwise(of)] for of in (counted, had))
    more = [left - kept * 1.01 for left, kept in zip(sent, brought, strict=True)]
    last = sent[-1] / (brought[-1] * 1.01 + MIB)
    return [
        Row(
            f"{what} of {size / MIB:g} MiB: worst run, sent − brought × 1.01",
            max(more) / MIB,
            "MiB",
            1,
        ),
        Row(f"{what}: last run ÷ (missing × 1.01 + 1 MiB)", last, "×", 1),
        Row(f"{what}: bytes left over at both ends", _orphans(world, name), "B", 0),
    ]


def _sync_now(world: World, name: str) -> None:
    command = "nohup sudo -n -u turnaround /opt/turnaround/bin/sync-now >/dev/null 2>&1 &"
    world.ssh(name, f"sh -c {shlex.quote(command)}")


def _left(world: World) -> int:
    """The bytes of TCP that left the hangar through the tower so far."""
    counts = "/sys/class/net/wg0/statistics"
    size, packets = world.ssh("hangar", f"cat {counts}/tx_bytes {counts}/tx_packets").split()
    return int(size) - HEADERS * int(packets)


def _orphans(world: World, name: str) -> int:
    """The bytes of what a cut transfer leaves: in the aircraft's inbox and staging, in the hangar's inbox."""
    found = 0
    aboard = world.lab.host(name).tree.root / STATE
    hangar = world.lab.host("hangar").tree.root / STATE
    for base in (
        aboard / "sync/inbox",
        aboard / "content/staging",
        hangar / "sync/inbox" / name,
    ):
        for path in base.rglob("*"):
            hidden = any(part.startswith(".") for part in path.relative_to(base).parts)
            if path.is_file() and (hidden or base.name == "staging"):
                found += path.stat().st_size
    return found
