"""`inv bench.*`: measurements, beside the field's other tools where there are some. They print a table, and
exit 0 when all goals are met."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from ci.bench import table
from fleet.packages import tell

MISSED = 4


@task(help={"json": "the rows as JSON on standard output"})
def converge(_: Context, json: bool = False) -> None:
    """A converge with nothing to change: ours, pyinfra's, and the least it can cost."""
    from ci.bench import converge as bench

    if not table.show(bench.run(tell), json):
        raise Exit("bench.converge: a goal is not met", code=MISSED)


@task(help={"json": "the rows as JSON on standard output"})
def deploy(_: Context, json: bool = False) -> None:
    """Deploys while passengers ask: what fails, what is mixed, how long a switch and a way back take."""
    from ci.bench import deploy as bench

    if not table.show(bench.run(), json):
        raise Exit("bench.deploy: a goal is not met", code=MISSED)


namespace = Collection("bench", converge, deploy)
