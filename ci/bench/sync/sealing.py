"""How fast changed rows become change-sets, and what memory that takes, however many there are."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

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
    cases = [("one batch", 100_000, 100_000), ("ten batches", 100_000, 10_000)]
    cases += [("ten batches", 1_000_000, 100_000)] if full else []
    with serving() as server:
        for number, (name, count, most) in enumerate(cases):
            database = f"sealing{number}"
            engine = server.database(database, "aircraft")
            load(engine, usage_events(count))
            engine.dispose()
            idle, done = _sealed(server, database, 0), _sealed(server, database, most)
            assert done["rows"] == count
            what = f"{count:,} rows in {name}"
            # The goal is for batches as they are; smaller ones look at the recorded keys more often.
            goal = 50_000 if most == 100_000 else None
            told += [
                Row(f"seal + export, {what}", count / done["s"], "rows/s", goal, at_least=True),
                Row(f"memory above idle, {what}", (done["kib"] - idle["kib"]) / 1024, "MiB", 64),
            ]
    return told


def _sealed(server: Server, database: str, most: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _SEALING, server.url(database), folder, str(most)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
