"""`fab rotate-keys`, `fab retire`: who is in the control tower, and by which keys."""

from __future__ import annotations

from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY, JSON, LIMIT, TARGET


@task(
    name="rotate-keys",
    help={
        "target": TARGET,
        "only": "kinds of key, with commas: tower, sync, dispatch (the hangar's)",
        "limit": LIMIT,
        "slots": "how many hosts at once",
        "inventory": INVENTORY,
        "json": JSON,
    },
)
def rotate_keys(
    c: Context,
    target: str,
    only: str = "",
    limit: str = "",
    slots: int = 8,
    inventory: str = "",
    json: bool = False,
) -> None:
    """Change keys that hosts made; cut anywhere, the same command goes on from there."""
    from fleet.rotate import Rotation, chosen
    from fleet.session import finish, session
    from fleet.shipping import note
    from fleet.slots import check_slots

    keys = chosen(only)
    check_slots(slots)
    with session(inventory, target, limit) as fleet:
        reporter = fleet.reporter("rotate-keys", json)
        rotation = Rotation(fleet.inventory, fleet.hosts, fleet.connections, reporter, slots)
        outcomes = rotation.run(keys)
        note(fleet, "rotate-keys", outcomes)
        finish(outcomes)


@task(
    help={
        "target": "the aircraft whose box is out of service; one at a time",
        "inventory": INVENTORY,
        "json": JSON,
    }
)
def retire(c: Context, target: str, inventory: str = "", json: bool = False) -> None:
    """Take an aircraft's box out of service, broken or stolen; nothing is asked of it."""
    from fleet.connections import Connections
    from fleet.report import reporter
    from fleet.retire import retire as take_out
    from fleet.session import Session, finish, fleet_of
    from fleet.shipping import note

    fleet = fleet_of(inventory)
    show = reporter(json)
    with Connections(fleet) as connections:
        outcome = take_out(fleet, target, connections, lambda text: show.progress(target, text))
        note(Session(fleet, (), connections), "retire", [outcome])
    show.done(outcome)
    show.close()
    finish([outcome])
