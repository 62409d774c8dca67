"""What a landing costs on the tower: with nothing due, and with one change-set each way.

Counted at the aircraft's end of the tower, headers of IP and TCP included, over a link of 300 ms. A trip is
one wait for the other side: from something that is sent to the first answer that can be one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ci.bench.sync import gate
from ci.bench.table import Row
from ci.story.teller import NotSo, eventually
from ci.story.world import World

RTT_MS = 300
QUIET_S = 16.0
LANDING_S = 25.0
CAME_S = 30.0
HTTP, SSH = 80, 22

_WATCH = """
import json, socket, struct, sys, time
taken, until = [], time.monotonic() + float(sys.argv[1])
way = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
way.bind(("wg0", 0))
way.settimeout(0.2)
while time.monotonic() < until:
    try:
        packet, where = way.recvfrom(65536)
    except TimeoutError:
        continue
    if packet[0] >> 4 == 4 and packet[9] == 6:
        ports = struct.unpack_from("!HH", packet, (packet[0] & 15) * 4)
        out = where[2] == socket.PACKET_OUTGOING
        taken.append((time.monotonic(), out, *(ports if out else ports[::-1]), len(packet)))
print(json.dumps(taken))
"""
_CHANGE_HERE = """
from common.database import engine_for, session
from common.schema import UsageEvent
from common.settings import Settings
settings = Settings.load()
with session(engine_for(settings)) as rows:
    rows.add_all(UsageEvent(kind="play", aircraft=settings.node) for _ in range(10))
"""
_CHANGE_THERE = """
from common.clock import utc_now
from common.database import engine_for, session
from common.schema import Survey
from common.settings import Settings
from sync import hangar
settings = Settings.load()
engine = engine_for(settings)
with session(engine) as rows:
    rows.add(Survey(question={"en": "How was it?"}, choices=["good", "bad"]))
hangar.refresh(engine, settings)
"""

_SURVEYS = "select count(*) from survey"


@dataclass(frozen=True)
class Packet:
    """One packet of the aircraft's: when (seconds), whether it went out, its two ports, its bytes."""

    at: float
    out: bool
    here: int
    there: int
    bytes: int


def trips(packets: Iterable[Packet], rtt_s: float) -> int:
    """How often somebody waited for the other side in this conversation.

    >>> out, back = Packet(0.0, True, 1, 22, 60), Packet(0.3, False, 1, 22, 60)
    >>> trips([out, out, back, Packet(0.31, True, 1, 22, 60), Packet(0.61, False, 1, 22, 60)], 0.3)
    2
    """
    count, sent = 0, None
    for packet in packets:
        if packet.out and sent is None:
            sent = packet.at
        elif not packet.out and sent is not None and packet.at - sent >= rtt_s * 0.95:
            count, sent = count + 1, None
    return count


def conversations(packets: Sequence[Packet], port: int) -> list[list[Packet]]:
    """The connections to a port of the hangar, in the order in which they began."""
    found: dict[int, list[Packet]] = {}
    for packet in packets:
        if packet.there == port:
            found.setdefault(packet.here, []).append(packet)
    return list(found.values())


def rows(full: bool) -> list[Row]:
    """Measures and returns the table's rows.

    Raises:
        FleetError: the fleet cannot be had.
        NotSo: the landing does not come to its end.
    """
    world = gate.fleet()
    name = world.aircraft[0]
    world.lab.link(name, up=True, rtt_ms=RTT_MS, kbit=0, loss=0, jitter_ms=0)
    try:
        quiet = watch(world, name, QUIET_S)
        gate.agent(world, name, "stop")
        gate.run(world, name, _CHANGE_HERE)
        gate.run(world, "hangar", _CHANGE_THERE)
        landing = watch(world, name, LANDING_S, start=True)
        eventually("what was changed came", lambda: came(world, name), within_s=CAME_S)
    finally:
        world.lab.link(name, rtt_ms=0)
    return [*_idle(quiet), *_busy(landing)]


def watch(world: World, name: str, seconds: float, *, start: bool = False) -> list[Packet]:
    """What passes an aircraft's end of the tower in so many seconds; with `start` the agent begins then."""
    with ThreadPoolExecutor(1) as pool:
        command = f"sudo -n python3 - {seconds}"
        told = pool.submit(world.ssh, name, command, stdin=_WATCH, timeout_s=seconds + 60)
        if start:
            time.sleep(4)
            gate.agent(world, name, "start")
        return [Packet(*one) for one in json.loads(told.result())]


def came(world: World, name: str) -> bool:
    """Sees that the landing brought what it was counted for.

    Raises:
        NotSo: the ends do not have the same rows.
    """
    for query in (f"select count(*) from usage_event where aircraft = '{name}'", _SURVEYS):
        here, there = world.sql(name, query), world.sql("hangar", query)
        if here != there:
            raise NotSo(f"expected the same of both ends, found {here} and {there}: {query}")
    return True


def _idle(packets: Sequence[Packet]) -> list[Row]:
    # The first and the last may have been cut.
    beats = conversations(packets, HTTP)[1:-1]
    if not beats:
        raise NotSo("expected heartbeats, found none")
    return [
        Row("nothing due: trips", max(trips(beat, RTT_MS / 1000) for beat in beats), "", 4),
        Row("nothing due: bytes both ways", max(_bytes(beat) for beat in beats) / 1000, "kB", 4),
        Row("nothing due: SSH connections", len(conversations(packets, SSH)), "", 0),
    ]


def _busy(packets: Sequence[Packet]) -> list[Row]:
    beats, ours = conversations(packets, HTTP), conversations(packets, SSH)
    if not beats or not ours:
        raise NotSo(f"expected a heartbeat and a synchronisation, found {len(beats)}, {len(ours)}")
    both = [beats[0], ours[0]]
    count = sum(trips(one, RTT_MS / 1000) for one in both)
    return [
        Row("one change-set each way: trips", count, "", 20),
        Row("one change-set each way: bytes both ways", sum(map(_bytes, both)) / 1000, "kB", 25),
        Row("one change-set each way: SSH connections", len(ours), "", 1),
        Row("one change-set each way: seconds", ours[0][-1].at - beats[0][0].at, "s"),
    ]


def _bytes(packets: Iterable[Packet]) -> int:
    return sum(packet.bytes for packet in packets)
