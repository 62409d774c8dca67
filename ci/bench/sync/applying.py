"""Applying: how fast beside a plain COPY of the same rows into the same table, in how much memory, and what
rows cost that are refused.

An aircraft seals usage events into one change-set, the hangar applies it again and again. COPY and apply
take turns, and of each the best counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from ci.bench.sync import events
from ci.bench.sync.server import Server, serving
from ci.bench.table import Row
from common.settings import Settings
from sync import apply, files, seal

EVENTS = 100_000
TURNS = 5
FEW_AMONG, MANY_AMONG = (
    2000,
    125,
)  # one row of so many is refused; some more than 1000 would stop the stream
NODE = "EC-TAA"
_FORGET = (
    "set local session_replication_role = replica",
    "truncate usage_event",
    "truncate sync.cursor, sync.applied, sync.quarantine, sync.held",
)
# In a process of its own, for its peak memory is measured; "idle" is one that only starts.
_APPLYING = r"""
import json, re, sys
from pathlib import Path
from sqlalchemy import create_engine
from common.settings import Settings
from sync import apply

url, folder, really = sys.argv[1:]
engine = create_engine(url)
engine.connect().close()
settings = Settings(node="hangar", role="hangar", state_dir=Path(folder))
outcome = apply.Outcome()
if really == "yes":
    outcome = apply.apply_stream(engine, settings, "EC-TAA", "use")
peak = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"rows": outcome.rows, "kib": peak}))
"""


@dataclass(frozen=True)
class Bench:
    """Two ends: their databases, and a folder of each."""

    server: Server
    folder: Path
    aircraft: Engine
    hangar: Engine

    def settings(self, node: str, role: str) -> Settings:
        made: dict[str, Any] = {"node": node, "role": role, "state_dir": self.folder / node}
        return Settings(**made)

    def forget(self) -> None:
        """The hangar has applied nothing."""
        with self.hangar.begin() as connection:
            for statement in _FORGET:
                connection.execute(text(statement))

    def bring(self, data: bytes) -> None:
        """Put the events into one change-set in the hangar's inbox."""
        events.load(self.aircraft, data)
        sender, receiver = self.settings(NODE, "aircraft"), self.settings("hangar", "hangar")
        (made,) = seal.seal(self.aircraft, sender, "use", rows=EVENTS)
        assert made.rows == EVENTS
        inbox = files.inbox(receiver, NODE)
        inbox.mkdir(parents=True)
        (files.outbox(sender) / "use").rename(inbox / "use")

    def copy(self, data: bytes) -> float:
        """Seconds of a plain COPY."""
        self.forget()
        with self.hangar.begin() as connection:
            connection.execute(text("alter database hangar set sync.applying = 'on'"))
        self.hangar.dispose()
        try:
            return events.load(self.hangar, data)
        finally:
            with self.hangar.begin() as connection:
                connection.execute(text("alter database hangar reset sync.applying"))
            self.hangar.dispose()

    def apply(self) -> tuple[float, int]:
        """Seconds of applying the change-set, and how many rows were refused."""
        self.forget()
        began = time.perf_counter()
        outcome = apply.apply_stream(self.hangar, self.settings("hangar", "hangar"), NODE, "use")
        took = time.perf_counter() - began
        assert (outcome.rows, outcome.problems) == (EVENTS, [])
        return took, outcome.quarantined

    def apply_with_refused(self, among: int) -> tuple[float, int]:
        """The same where one row of so many is refused."""
        rule = f"check (abs(hashtext(id::text)) % {among} <> 0) not valid"
        with self.hangar.begin() as connection:
            connection.execute(text(f"alter table usage_event add constraint rule {rule}"))
        try:
            return self.apply()
        finally:
            with self.hangar.begin() as connection:
                connection.execute(text("alter table usage_event drop constraint rule"))

    def peak_mib(self, really: bool) -> float:
        """The peak memory of a process that applies the change-set, or one that only starts."""
        self.forget()
        command = [sys.executable, "-c", _APPLYING, self.server.url("hangar")]
        command += [str(self.folder / "hangar"), "yes" if really else "no"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        assert found["rows"] == (EVENTS if really else 0)
        return float(found["kib"]) / 1024


def rows(full: bool) -> list[Row]:
    """10⁵ usage events in one change-set; with `full` in twice as many turns."""
    data = events.usage_events(EVENTS)
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        ends = [server.database(role, role) for role in ("aircraft", "hangar")]
        bench = Bench(server, Path(folder), *ends)
        bench.bring(data)
        turns = [(bench.copy(data), bench.apply()[0]) for _ in range(TURNS * (2 if full else 1))]
        copied, applied = (min(one) for one in zip(*turns, strict=True))
        grown = bench.peak_mib(True) - bench.peak_mib(False)
        few_s, few = bench.apply_with_refused(FEW_AMONG)
        many_s, many = bench.apply_with_refused(MANY_AMONG)
        for engine in ends:
            engine.dispose()
    each = (many_s - applied) / many / ((few_s - applied) / few)
    return [
        Row("speed of apply beside plain COPY", copied / applied, "×", 0.33, at_least=True),
        Row("apply", EVENTS / applied, "rows/s"),
        Row("memory above idle", grown, "MiB", 64),
        Row(f"apply with {few} rows refused", few_s, "s"),
        Row(f"apply with {many} rows refused", many_s, "s"),
        # Each costs its own attempts; were all rows tried again for each, it would be 16 and more.
        Row("what a refused row costs, many beside few", each, "×", 1.5),
    ]
