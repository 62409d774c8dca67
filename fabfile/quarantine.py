"""`fab quarantine.…`: rows that the hangar's database, or an aircraft's, refused when they arrived."""

from __future__ import annotations

from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON

_HELP = {
    "ids": "numbers of rows with commas, as quarantine.list shows them",
    "peer": "only what came from it: an aircraft's name; aboard, hangar",
    "why": "the reason, for the audit log",
    "target": "where: hosts or groups, with commas; the hangar unless it says so",
    "inventory": INVENTORY,
    "json": JSON,
}


def _order(do: str, target: str, inventory: str, as_json: bool, ids: str, **words: Any) -> None:
    from fleet.errors import Exit
    from fleet.quarantine import hosts_of, ids_of, order
    from fleet.report import reporter
    from fleet.session import finish, fleet_of, session
    from fleet.shipping import noted

    numbers = ids_of(ids)
    hosts = hosts_of(fleet_of(inventory), target, numbers)
    with session(inventory, ",".join(host.name for host in hosts)) as fleet:
        outcomes = fleet.each(
            lambda way, host, say: order(way, host, do, ids=list(numbers), **words),
            reporter(as_json),
            hosts=hosts,
        )
        done = [each for each in outcomes if each.code == Exit.DONE]
        if do in ("retry", "drop") and done:
            why = f": {words['why']}" if words["why"] else ""
            said = [{"name": each.host, "state": f"{each.detail}{why}"} for each in done]
            noted(fleet, f"quarantine.{do}", said)
    finish(outcomes)


@task(
    name="list",
    help={
        **{name: _HELP[name] for name in ("peer", "target", "inventory", "json")},
        "every": "also rows that something became of in the last 30 days",
    },
)
def list_(
    c: Context,
    peer: str = "",
    every: bool = False,
    target: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Show rows that were refused and wait, and streams that stand still."""
    _order("list", target, inventory, json, "", peer=peer, every=every)


@task(help={name: _HELP[name] for name in ("ids", "target", "inventory", "json")})
def show(c: Context, ids: str, target: str = "", inventory: str = "", json: bool = False) -> None:
    """Show rows with every value, what is wrong with them, and what to do."""
    _order("show", target, inventory, json, ids)


@task(help=_HELP)
def retry(
    c: Context,
    ids: str = "",
    peer: str = "",
    why: str = "",
    target: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Try rows again now: those numbered, those of one sender, or all that are open."""
    _order("retry", target, inventory, json, ids, peer=peer, why=why)


@task(help={name: _HELP[name] for name in ("ids", "why", "target", "inventory", "json")})
def drop(
    c: Context,
    ids: str,
    why: str,
    target: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Give rows up: they are never applied, and the audit log says who gave them up and why."""
    _order("drop", target, inventory, json, ids, why=why)


namespace = Collection("quarantine")
for _task in (list_, show, retry, drop):
    namespace.add_task(_task)
