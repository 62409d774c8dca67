"""`fab init-machine`, `converge`, `drift`, `undo`, `resume`: hosts made what inventory and roles say."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON, LIMIT, TARGET


@task(
    name="init-machine",
    positional=["host", "as_"],
    help={
        "host": "where it answers now: user@host:port (root and 22 when left out)",
        "as": "its name in the inventory",
        "fingerprint": "SHA256:… of its host key; else it is shown and asked for",
        "yes": "accept whatever fingerprint it shows",
        "inventory": INVENTORY,
        "json": JSON,
    },
)
def init_machine(
    c: Context,
    host: str,
    as_: str,
    fingerprint: str = "",
    yes: bool = False,
    inventory: str = "",
    json: bool = False,
) -> None:
    """First contact: pin the host's key, make ops' account, lock root, enrol it in the tower."""
    from fleet.init_machine import init_machine as enrol
    from fleet.session import finish

    finish([enrol(inventory, host, as_, fingerprint, yes=yes, as_json=json)])


@task(
    help={
        "target": TARGET,
        "limit": LIMIT,
        "check": "change nothing; show what would change and exit 2 when there is something",
        "diff": "show unified diffs whole (--check shows their beginnings anyway)",
        "slots": "how many hosts at once",
        "tags": "only what these roles or nouns declare, and what that needs; with commas",
        "max_failed": "how many hosts may fail before no other is begun: 2, or 5%",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def converge(
    c: Context,
    target: str,
    limit: str = "",
    check: bool = False,
    diff: bool = False,
    slots: int = 8,
    tags: str = "",
    max_failed: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Make hosts what their roles say; a second time changes nothing."""
    from fleet.away import away
    from fleet.converge import converge as make
    from fleet.session import finish, session
    from fleet.shipping import note

    part = "nothing is queued, because --tags takes a part" if tags else ""
    why_not = "--check queues nothing" if check else part
    with session(inventory, target, limit) as fleet:
        outcomes = make(
            fleet.inventory,
            fleet.hosts,
            fleet.connections,
            lambda: fleet.reporter("drift" if check else "converge", json, whole=diff),
            check=check,
            diff=diff,
            slots=slots,
            tags=tags,
            max_failed=max_failed,
            away=lambda: away(
                fleet.inventory, fleet.hosts, fleet.connections, target, limit, why_not
            ),
        )
        if not check:
            note(fleet, "converge", outcomes)
        finish(outcomes)


@task(
    help={
        "target": TARGET,
        "limit": LIMIT,
        "slots": "how many hosts at once",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def drift(
    c: Context,
    target: str,
    limit: str = "",
    slots: int = 8,
    inventory: str = "",
    json: bool = False,
) -> None:
    """Show where hosts are no longer what their roles say; exit 2 when they are not."""
    converge(c, target, limit, check=True, slots=slots, inventory=inventory, json=json)


@task(
    help={
        "target": TARGET,
        "limit": LIMIT,
        "check": "change nothing; show what would be put back and exit 2 when there is something",
        "diff": "show unified diffs whole (--check shows their beginnings anyway)",
        "slots": "how many hosts at once",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def undo(
    c: Context,
    target: str,
    limit: str = "",
    check: bool = False,
    diff: bool = False,
    slots: int = 8,
    inventory: str = "",
    json: bool = False,
) -> None:
    """Put back the files that the last run on hosts replaced; a second time puts them forth."""
    from fleet.runs import undo_on
    from fleet.session import finish, session
    from fleet.shipping import note

    with session(inventory, target, limit) as fleet:
        outcomes = fleet.each(
            lambda way, host, say: undo_on(way, say, check=check, diff=diff),
            fleet.reporter("undo", json, whole=diff),
            slots,
        )
        if not check:
            note(fleet, "undo", outcomes)
        finish(outcomes)


@task(
    help={
        "target": TARGET,
        "limit": LIMIT,
        "run": "id of the run, as the command that began it said; else the last one",
        "slots": "how many hosts at once",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def resume(
    c: Context,
    target: str,
    run: str = "",
    limit: str = "",
    slots: int = 8,
    inventory: str = "",
    json: bool = False,
) -> None:
    """Wait for the end of a run that lost its link or its operator, and show what became of it."""
    from fleet.context import catalog
    from fleet.runs import resume_on
    from fleet.session import finish, session
    from fleet.shipping import note

    with session(inventory, target, limit) as fleet:
        declared = {host.name: catalog(fleet.inventory, host) for host in fleet.hosts}
        outcomes = fleet.each(
            lambda way, host, say: resume_on(way, declared[host.name], run, say),
            fleet.reporter("resume", json),
            slots,
        )
        note(fleet, "resume", outcomes)
        finish(outcomes)


@task(
    help={
        "target": f"{TARGET}; the aircraft among them",
        "limit": LIMIT,
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def unqueue(
    c: Context, target: str, limit: str = "", inventory: str = "", json: bool = False
) -> None:
    """Forget what waits at the hangar for aircraft out of reach."""
    from fleet.away import queue_at
    from fleet.away import unqueue as forget
    from fleet.session import finish, session
    from fleet.status import ask, hangar_of
    from fleet.sync import aircraft_of

    with session(inventory, target, limit) as fleet:
        hosts = aircraft_of(fleet.hosts)
        hangar = fleet.connections.to(hangar_of(fleet.inventory))
        outcomes = forget(ask(hangar), hosts, queue_at(hangar, fleet.inventory))
        reporter = fleet.reporter("unqueue", json)
        for outcome in outcomes:
            reporter.progress(outcome.host, "")
            reporter.done(outcome)
        reporter.close()
        finish(outcomes)
