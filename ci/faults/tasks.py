"""`inv faults`: the long crash tables, on hosts of a lab of their own."""

from __future__ import annotations

import os

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from fleet.errors import UsageError, did_you_mean
from fleet.packages import tell

BROKEN = 4


@task(
    help={
        "only": "one table, such as converge; else all of them",
        "seeds": "how often each row with chance in it runs; 0: as often as half an hour allows",
        "json": "the rows as JSON on standard output",
    }
)
def faults(_: Context, only: str = "", seeds: int = 0, json: bool = False) -> None:
    """The crash tables: every fault, many times, on real hosts; half an hour each."""
    from ci.faults.case import Row, run, show
    from ci.faults.tables import TABLES
    from ci.faults.under_test import stand

    if only and only not in TABLES:
        raise UsageError(
            f"--only {only}: there is no such table{did_you_mean(only, TABLES)}",
            f"the tables are: {', '.join(TABLES)}",
        )
    if seeds < 0:
        raise UsageError(f"--seeds is {seeds}; expected 1 or more")
    rows: list[Row] = []
    for name in [only] if only else TABLES:
        table = TABLES[name]
        # A name of its own: nobody's lab is in the way, and this one is taken down at the end.
        with stand(f"f{os.getpid() % 10**7}", table.stand) as host:
            rows += run(table.cases, host, seeds or table.seeds, tell, lambda each: each.mend())
    if not show(rows, json):
        raise Exit("faults: a row does not hold", code=BROKEN)
