"""`fab sync`, `fab status`, `fab logs`: the day of a running fleet."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON, LIMIT, TARGET


@task(
    help={
        "target": f"{TARGET}; the aircraft among them",
        "limit": LIMIT,
        "slots": "how many hosts at once",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def sync(
    c: Context,
    target: str,
    limit: str = "",
    slots: int = 8,
    inventory: str = "",
    json: bool = False,
) -> None:
    """Let aircraft synchronise with the hangar now, and show what moves and what is still to come."""
    from fleet.session import finish, session
    from fleet.sync import aircraft_of, known_before, sync_now

    with session(inventory, target, limit) as fleet:
        hosts = aircraft_of(fleet.hosts)
        known, silent = known_before(fleet.inventory, fleet.connections, hosts, target)
        outcomes = fleet.each(
            lambda way, host, say: (
                silent.get(host.name) or sync_now(way, host, say, known.get(host.name))
            ),
            fleet.reporter("sync", json),
            slots,
            hosts,
        )
        finish(outcomes)


@task(help={"inventory": INVENTORY, "json": "one JSON object per aircraft on standard output"})
def status(c: Context, inventory: str = "", json: bool = False) -> None:
    """Show what the hangar knows of each aircraft, calling none, and how old its backup is."""
    import json as encoder

    from rich.console import Console

    from fleet.session import session
    from fleet.status import backup_line, hangar_of, told
    from fleet.status_table import table

    with session(inventory, "all") as fleet:
        hangar = hangar_of(fleet.inventory)
        rows, backup = told(fleet.connections.to(hangar))
    if json:
        if backup:
            rows.append({"host": hangar.name, "name": hangar.name, "backup": backup})
        print("\n".join(encoder.dumps(row, ensure_ascii=False) for row in rows))
        return
    print("\n".join(table(rows)))
    if backup:
        line, good = backup_line(hangar.name, backup)
        Console(highlight=False).print(line, style="" if good else "red", soft_wrap=True)


@task(
    help={
        "target": TARGET,
        "limit": LIMIT,
        "lines": "how many of the last lines per host",
        "unit": "only this unit, such as turnaround-api",
        "since": "only since then: -10min, today, 2026-11-23 04:00",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def logs(
    c: Context,
    target: str,
    limit: str = "",
    lines: int = 50,
    unit: str = "",
    since: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Show what our processes on hosts wrote to their journals."""
    from fleet.logs import command, fetch
    from fleet.report import reporter
    from fleet.session import finish, session

    argv = command(lines, unit, since)
    with session(inventory, target, limit) as fleet:
        finish(fleet.each(lambda way, host, say: fetch(way, host, argv), reporter(json)))
