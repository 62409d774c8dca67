"""`fab inventory`: what the inventory says of the fleet, or of one host."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON


@task(
    name="inventory",
    help={
        "host": "only this one, with its variables",
        "explain": "say of each variable where it comes from",
        "inventory": INVENTORY,
        "json": JSON,
    },
)
def show(
    c: Context, host: str = "", explain: bool = False, inventory: str = "", json: bool = False
) -> None:
    """Show the hosts of the inventory; with --host one of them and its variables."""
    from fleet.session import fleet_of
    from fleet.target import select
    from fleet.view import describe, listing

    fleet = fleet_of(inventory)
    hosts = select(fleet, host or "all")
    if host and not json:
        print("\n".join(line for each in hosts for line in describe(each, explain)))
    else:
        print("\n".join(listing(hosts, as_json=json)))
