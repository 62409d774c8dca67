"""`inv bench.*`: measurements, beside the field's other tools where there are some. They print a table, and
exit 0 when all goals are met."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from ci.bench import table
from fleet.errors import UsageError, did_you_mean
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


@task(help={"only": "one noun, such as loss; else all", "json": "the rows as JSON"})
def sync(_: Context, only: str = "", json: bool = False) -> None:
    """Synchronisation: what is lost, what it weighs and how long it takes, beside the least that can be."""
    from ci.bench.sync import nouns

    found = nouns.found()
    if only and only not in found:
        raise UsageError(
            f"--only {only}: there is no such noun{did_you_mean(only, found)}",
            f"the nouns are: {', '.join(found)}",
        )
    rows = nouns.run({only: found[only]} if only else found, tell)
    if not table.show(rows, json):
        raise Exit("bench.sync: a goal is not met", code=MISSED)


namespace = Collection("bench", converge, deploy, sync)
