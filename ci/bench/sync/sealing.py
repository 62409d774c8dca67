"""How fast changed rows become change-sets, and what memory that takes, however many there are.

What takes a second or two is done three times: the middle rate counts, for what else the machine does, and
the disk with what was loaded before, can halve it; of the memory the most.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

from ci.bench.sync.events import load, usage_events
from ci.bench.sync.server import Server, serving
from ci.bench.table import Row

# In a process of its own, for its peak memory is measured; "idle" is one that only starts.
_SEALING = r"""
import json, re, sys, time
from pathlib import Path
from sqlalchemy import create_engine
from common.settings import Settings
from sync import seal

url, folder, rows = sys.argv[1:]
engine = create_engine(url)
engine.connect().close()
settings = Settings(node="EC-TAA", role="aircraft", state_dir=Path(folder))
began = time.perf_counter()
made = seal.seal(engine, settings, "use", rows=int(rows)) if int(rows) else []
took = time.perf_counter() - began
# getrusage's ru_maxrss would begin with that of who started us.
peak = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"s": took, "rows": sum(one.rows for one in made), "batches": len(made), "kib": peak}))
"""


def rows(full: bool) -> list[Row]:
    """10⁵ rows in one batch and in ten; with `full` also a million rows in ten."""
    told = []
    cases = [("one batch", 100_000, 100_000, 3), ("ten batches", 100_000, 10_000, 3)]
    cases += [("ten batches", 1_000_000, 100_000, 1)] if full else []
    with serving() as server:
        for name, count, most, times in cases:
            done = [_one(server, count, most) for _ in range(times)]
            what = f"{count:,} rows in {name}"
            # The goal is for batches as they are; smaller ones look at the recorded keys more often.
            goal = 50_000 if most == 100_000 else None
            rate = count / median(one.s for one in done)
            memory = max(one.mib for one in done)
            told += [
                Row(f"seal + export, {what}", rate, "rows/s", goal, at_least=True),
                Row(f"memory above idle, {what}", memory, "MiB", 64),
            ]
    return told


@dataclass(frozen=True)
class _Done:
    """What it took: seconds, and MiB above a process that only starts."""

    s: float
    mib: float


def _one(server: Server, count: int, most: int) -> _Done:
    database = f"sealing_{uuid4().hex}"
    engine = server.database(database, "aircraft")
    load(engine, usage_events(count))
    engine.dispose()
    idle, done = _sealed(server, database, 0), _sealed(server, database, most)
    assert done["rows"] == count
    return _Done(done["s"], (done["kib"] - idle["kib"]) / 1024)


def _sealed(server: Server, database: str, most: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _SEALING, server.url(database), folder, str(most)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
