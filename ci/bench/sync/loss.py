"""What is lost of 10⁵ changes while everybody is killed: ours, and two watermarks in the same harness."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ci.bench.sync.server import serving
from ci.bench.table import Row
from ci.faults.sync.loss import Loss, seeds
from ci.faults.sync.nodes import Nodes
from fleet.packages import tell

CHANGES = 100_000
SEEDS = 100
IN_ONE_MOST = 20  # rows of a transaction, where there are so many


def rows(full: bool) -> list[Row]:
    """10⁵ changes over a hundred seeds together, and as many in one run; a tenth of both unless `full`."""
    changes, count = (CHANGES, SEEDS) if full else (CHANGES // 10, SEEDS // 10)
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        nodes = Nodes(server, Path(folder), "loss")
        together, alone = Loss(), Loss()
        for seed, one in seeds(nodes, range(1, count + 1), changes // count):
            tell(_line(seed, one))
            together += one
        for seed, one in seeds(nodes, range(count + 1, count + 2), changes, IN_ONE_MOST):
            tell(_line(seed, one))
            alone += one
    return [*told(f"{count} seeds", together, changes), *told("one run", alone, changes)]


def _line(seed: int, one: Loss) -> str:
    return (
        f"  seed {seed}: {one.changes} changes, {one.kills} kills, {one.cuts} cuts: {one.lost} lost, "
        f"{one.twice} twice; by time {one.lost_by_time} lost, by number {one.lost_by_number}"
        + "".join(f"; {each}" for each in one.wrong)
    )


def told(what: str, one: Loss, changes: int) -> list[Row]:
    """Returns the table's rows; where too little was changed, or nobody was hindered, nothing is shown."""
    return [
        Row(f"{what}, changes committed", one.changes, "rows", changes, at_least=True),
        Row(f"{what}, killed", one.kills, "", 1, at_least=True),
        Row(f"{what}, link cut", one.cuts, "", 1, at_least=True),
        Row(f"{what}, lost", one.lost, "rows", 0),
        Row(f"{what}, applied twice", one.twice, "rows", 0),
        Row(f"{what}, came and were rolled back", one.never_committed, "rows", 0),
        Row(f"{what}, errors at the end", len(one.wrong), "", 0),
        Row(f"{what}, updated_at > last loses", one.lost_by_time, "rows", 1, at_least=True),
        Row(f"{what}, seq > last loses", one.lost_by_number, "rows", 1, at_least=True),
    ]
