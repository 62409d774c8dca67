"""How much of the link a transfer uses, beside one plain TCP stream through the same tower.

A file that does not compress, so that nothing but the link decides; the time of both runs from the first
word of the one who asks to the last byte. Of a landing the SSH connection is made once, before. The two run
at once, on two aircraft whose tunnels and links are alike, far below what the machine can do: one after the
other they would take twenty minutes.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ci.bench.sync import gate
from ci.bench.table import Row
from ci.story.world import World

MB = 1_000_000
SIZE, SMALL = 100 * MB, 10 * MB
PORT = 5201
GOAL = 0.95


@dataclass(frozen=True)
class Way:
    """A link: its rate in kbit/s, round-trip time in milliseconds and loss in per cent."""

    kbit: int
    rtt_ms: int
    loss: float = 1.0

    def __str__(self) -> str:
        return f"{self.kbit / 1000:g} Mbit/s, {self.rtt_ms} ms, {self.loss:g} % lost"


WAYS = (Way(2_000, 300), Way(10_000, 80), Way(10_000, 300))

_SERVE = f"""
import os, socket, sys
piece, left = os.urandom(1 << 20), int(sys.argv[1])
with socket.create_server(("", {PORT})) as door:
    print("up", flush=True)
    way, _ = door.accept()
    with way:
        while left > 0:
            way.sendall(piece[:left])
            left -= len(piece)
"""
_TAKE = f"""
import os, socket, time
began, got = time.monotonic(), 0
host = os.environ["TURNAROUND_HANGAR_SSH"].partition("@")[2]
with socket.create_connection((host, {PORT})) as way:
    while piece := way.recv(1 << 20):
        got += len(piece)
print(got, time.monotonic() - began)
"""
_OFFER = """
import hashlib, os, sys
from common.settings import Settings
data = os.urandom(int(sys.argv[2]))
sha256 = hashlib.sha256(data).hexdigest()
folder = Settings.load().sync_dir / "outbox" / sys.argv[1] / "content" / "blobs" / sha256[:2]
folder.mkdir(parents=True, exist_ok=True)
(folder / sha256).write_bytes(data)
print(sha256)
"""
_FETCH = """
import sys, tempfile, time
from pathlib import Path
from common.settings import Settings
from sync.rsync import link_for
settings = Settings.load()
link = link_for(settings)
link.open()
with tempfile.TemporaryDirectory(dir=settings.content_dir) as folder:
    began = time.monotonic()
    moved = link.fetch([sys.argv[1]], Path(folder))
    took = time.monotonic() - began
    print((Path(folder) / sys.argv[1]).stat().st_size, took)
link.close()
"""


def rows(full: bool) -> list[Row]:
    """Measures and returns the table's rows; with `full` files of 100 MB.

    Raises:
        FleetError: the fleet cannot be had.
        NotSo: a transfer does not come to its end.
    """
    world = gate.fleet()
    size = SIZE if full else SMALL
    one, two = world.aircraft[:2]
    rule = f"nft insert rule inet turnaround input iifname wg0 tcp dport {PORT} accept"
    world.ssh("hangar", f"sudo -n {rule}")
    told = []
    with gate.quiet(world, (one, two)):
        for way in WAYS:
            told += _table(way, size, *_both(world, way, size, one, two))
    return told


def _both(world: World, way: Way, size: int, one: str, two: str) -> Sequence[float]:
    with ThreadPoolExecutor(2) as pool:
        measured: list[Callable[[], float]] = [
            partial(plain, world, way, size, one),
            partial(ours, world, way, size, two),
        ]
        return [one.result() for one in [pool.submit(each) for each in measured]]


def _table(way: Way, size: int, plain_s: float, ours_s: float) -> list[Row]:
    mbit = size * 8 / 1e6
    return [
        Row(f"{way}: one TCP stream", mbit / plain_s, "Mbit/s"),
        Row(f"{way}: rsync over SSH", mbit / ours_s, "Mbit/s"),
        Row(f"{way}: ours ÷ TCP, {size / MB:g} MB", plain_s / ours_s, "×", GOAL, at_least=True),
    ]


def plain(world: World, way: Way, size: int, name: str) -> float:
    """Sends so many bytes from the hangar to an aircraft through the tower; returns the seconds."""
    shape(world, name, way)
    with ThreadPoolExecutor(1) as pool:
        command = f"python3 -c {shlex.quote(_SERVE)} {size}"
        within_s = _within_s(way, size)
        served = pool.submit(world.ssh, "hangar", command, timeout_s=within_s)
        # It answers when all has been sent, not when it listens.
        time.sleep(2)
        said = gate.run(world, name, _TAKE, timeout_s=within_s)
        served.result()
    return _seconds(said, size)


def ours(world: World, way: Way, size: int, name: str) -> float:
    """Lets an aircraft fetch a blob of so many bytes; returns the seconds."""
    sha256 = gate.run(world, "hangar", _OFFER, name, str(size)).strip()
    shape(world, name, way)
    return _seconds(gate.run(world, name, _FETCH, sha256, timeout_s=_within_s(way, size)), size)


def shape(world: World, name: str, way: Way) -> None:
    """Makes an aircraft's link so."""
    world.lab.link(name, up=True, kbit=way.kbit, rtt_ms=way.rtt_ms, loss=way.loss, jitter_ms=0)


def _within_s(way: Way, size: int) -> float:
    return 60 + 3 * size * 8 / (way.kbit * 1000)


def _seconds(said: str, size: int) -> float:
    got, took = said.split()
    if int(got) != size:
        raise AssertionError(f"expected {size} bytes, {got} came")
    return float(took)
