"""A table's row, and what runs a table: it tells what it does as it does it, and at the end what held."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Generic, TypeVar

from rich.console import Console
from rich.table import Table

from ci.story.teller import NotSo
from fleet.errors import FleetError

S = TypeVar("S")


@dataclass(frozen=True)
class Case(Generic[S]):
    """One row.

    Args:
        name: in a few words.
        done: what is done to the host.
        expected: what must be seen, beside that which must be seen after every fault.
        act: does it and looks; returns the fact it saw, raises `NotSo` when the row does not hold.
        seeds: whether chance chooses something in it; a row without runs once.
    """

    name: str
    done: str
    expected: str
    act: Callable[[S, Random], str]
    seeds: bool = True


@dataclass
class Row:
    """What became of a case: facts by how often they were seen, and what did not hold."""

    name: str
    seeds: int = 0
    seconds: float = 0.0
    facts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.faults

    @property
    def outcome(self) -> str:
        """In a line: what was seen, the most frequent first, or the first thing that was wrong."""
        if self.faults:
            first = self.faults[0].splitlines()[0]
            return f"{len(self.faults)} of {self.seeds} wrong: {first[:200]}"
        by_count = sorted(self.facts.items(), key=lambda item: -item[1])
        return "; ".join(
            fact if self.seeds == 1 else f"{fact} ({count})" for fact, count in by_count
        )


def run(
    cases: Iterable[Case[S]],
    stand: S,
    seeds: int,
    say: Callable[[str], None],
    mend: Callable[[S], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[Row]:
    """Runs every case with every seed and returns the rows.

    Args:
        cases: the table.
        stand: what they act on.
        seeds: how many of each case that chance has a part in; they are 1 to so many.
        say: takes lines of progress.
        mend: makes the stand good again after a case that did not hold.
        clock: seconds that only go forward.
    """
    rows = []
    for case in cases:
        row = Row(case.name)
        say(f"\n{case.name}: {case.done}\n  expected: {case.expected}")
        for seed in range(1, (seeds if case.seeds else 1) + 1):
            began = clock()
            try:
                # Of the name too, or the first seed of each row would choose the same.
                fact = case.act(stand, Random(f"{case.name}/{seed}"))
                row.facts[fact] = row.facts.get(fact, 0) + 1
                said = fact
            except Exception as fault:
                said = str(fault) or repr(fault)
                row.faults.append(f"seed {seed}: {said}")
                if not isinstance(fault, NotSo | FleetError):
                    said += f"\n{traceback.format_exc()}"
                mend(stand)
            took = clock() - began
            row.seeds += 1
            row.seconds += took
            mark = "✗" if row.faults and row.faults[-1].startswith(f"seed {seed}:") else "✓"
            say(f"  {mark} seed {seed}: {said}, {took:.1f} s")
        rows.append(row)
    return rows


def show(rows: Sequence[Row], as_json: bool) -> bool:
    """Prints the table and returns whether every row holds."""
    if as_json:
        values = [asdict(row) | {"outcome": row.outcome, "holds": row.holds} for row in rows]
        print(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("case", "seeds", "outcome", "seconds"):
            table.add_column(column, justify="right" if column in ("seeds", "seconds") else "left")
        for row in rows:
            mark = "[green]holds[/green]" if row.holds else "[red]does not hold[/red]"
            outcome = row.outcome.replace("[", r"\[")
            table.add_row(row.name, str(row.seeds), f"{mark}: {outcome}", f"{row.seconds:.0f}")
        Console(highlight=False).print(table)
    return all(row.holds for row in rows)
