"""Usage events as flights make them: 10⁵ are some weeks of one aircraft. The same for the same seed.

A flight has 60 devices that use something, half of them of passengers with an account. A session is
a film or a newspaper out of 300, chosen as the popular are, and says `open`, `play` with its place
each half minute or so, `stop`. Identifiers are made as aboard (`common.uuid7`), one event every second
or two, and the time is the server's, in microseconds.
"""

from __future__ import annotations

import io
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from common.uuid7 import Maker

COLUMNS = ("id", "user_id", "item_id", "kind", "at", "data", "aircraft", "flight")
_BEGAN = datetime(2026, 11, 1, 6, tzinfo=UTC)


@dataclass
class _Device:
    """What somebody holds: who that is, if we know, what is open on it, and at which second."""

    user: UUID | None
    item: UUID | None = None
    place: int = 0


def usage_events(count: int, seed: int = 5) -> bytes:
    """Rows of `usage_event` in the order they were written, as COPY reads them."""
    chance = random.Random(seed)
    now = _BEGAN
    made = Maker(lambda: int(now.timestamp() * 1000), chance.randbytes)
    items = [UUID(int=chance.getrandbits(128)) for _ in range(300)]
    popular = [1 / (place + 3) for place in range(len(items))]
    out = io.StringIO()
    devices: list[_Device] = []
    flight = left = 0
    for _ in range(count):
        if not left:
            flight, left = flight + 1, chance.randint(2000, 5000)
            now += timedelta(hours=2)
            users = [UUID(int=chance.getrandbits(128)) for _ in range(30)]
            devices = [_Device(user) for user in (*users, *[None] * 30)]
        left -= 1
        now += timedelta(microseconds=int(chance.expovariate(1 / 1.5) * 1e6))
        device, data = chance.choice(devices), "{}"
        item = device.item
        if item is None:
            (item,) = chance.choices(items, popular)
            device.item, device.place, kind = item, 0, "open"
        elif chance.random() < 0.04:
            device.item, kind = None, "stop"
        else:
            device.place, kind = device.place + chance.randint(25, 35), "play"
            data = json.dumps({"s": device.place})
        fields = (made(), device.user or r"\N", item, kind, now.isoformat(" "), data)
        out.write("\t".join(map(str, fields)) + f"\tEC-TAA\tTA{100 + flight % 40}\n")
    return out.getvalue().encode()


def load(engine: Engine, data: bytes) -> float:
    """Copies rows into `usage_event`; returns the seconds that took, the commit included."""
    raw = engine.raw_connection()
    cursor: Any = raw.cursor()
    began = time.perf_counter()
    cursor.copy_expert(f"copy usage_event ({', '.join(COLUMNS)}) from stdin", io.BytesIO(data))
    raw.commit()
    took = time.perf_counter() - began
    raw.close()
    return took
