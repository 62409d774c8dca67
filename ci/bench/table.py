"""A benchmark's table: name, value, unit, goal, met; the same rows as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure.

    Args:
        name: what was measured.
        value: how much.
        unit: of the value and the goal.
        goal: the most it may be, or with `at_least` the least; None where it is only told.
        at_least: whether more is better.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none.

        >>> Row("ratio", 1.2, "×", 1.3).met, Row("faster", 14, "×", 15, at_least=True).met
        (True, False)
        """
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def show(rows: Sequence[Row], as_json: bool) -> bool:
    """Prints the rows and returns whether every goal is met."""
    if as_json:
        print(json.dumps([{**asdict(row), "met": row.met} for row in rows], indent=2))
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("name", "value", "unit", "goal", "met"):
            table.add_column(column, justify="right" if column in ("value", "goal") else "left")
        for row in rows:
            sign = "≥" if row.at_least else "≤"
            goal = "" if row.goal is None else f"{sign} {row.goal:g}"
            met = {True: "[green]yes[/green]", False: "[red]no[/red]", None: ""}[row.met]
            table.add_row(row.name, f"{row.value:,.2f}", row.unit, goal, met)
        Console(highlight=False).print(table)
    return all(row.met is not False for row in rows)
