"""What usage events weigh in change-sets, beside the ideal file: all values of a column together, zstd -3."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from ci.bench.sync.events import load, usage_events
from ci.bench.sync.server import serving
from ci.bench.table import Row
from common.settings import Settings
from fleet import packages
from sync import seal


def rows(full: bool) -> list[Row]:
    """10⁵ events sealed at once; with `full` also in 14 batches, which is only told."""
    packages.ensure(["zstd"], purpose="inv bench.sync")
    told = _measured("in one batch", 100_000, 1)
    if full:
        told += [replace(row, goal=None) for row in _measured("in 14 batches", 100_000, 14)]
    return told


def _measured(name: str, count: int, batches: int) -> list[Row]:
    data = usage_events(count)
    lines = data.splitlines(keepends=True)
    per = -(-count // batches)
    sealed = []
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        engine = server.database("aircraft", "aircraft")
        settings = Settings(node="EC-TAA", role="aircraft", state_dir=Path(folder))
        for start in range(0, count, per):
            load(engine, b"".join(lines[start : start + per]))
            sealed += seal.seal(engine, settings, "use")
        engine.dispose()
    assert [sum(one.rows for one in sealed), len(sealed)] == [count, batches]
    weight = sum(one.bytes for one in sealed)
    columns = zip(*(line[:-1].split(b"\t") for line in lines), strict=True)
    ideal = b"".join(b"\n".join(column) + b"\n" for column in columns)
    packed = subprocess.run(["zstd", "-3", "-c"], input=ideal, capture_output=True, check=True)
    return [
        Row(f"a usage event on the wire, {name}", weight / count, "B", 20),
        Row(
            f"the same ÷ ideal column-major zstd-3, {name}", weight / len(packed.stdout), "×", 1.05
        ),
    ]
