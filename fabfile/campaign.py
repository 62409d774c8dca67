"""`fab campaign.…`: a release on its way to a fleet that is mostly away; the hangar drives it for weeks."""

from __future__ import annotations

import sys
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from fabfile.words import INVENTORY

_HELP = {
    "name": "of the campaign",
    "inventory": INVENTORY,
    "json": "one JSON object per campaign on standard output, with every aircraft and its reason",
}


def _order(do: str, inventory: str, as_json: bool, **words: Any) -> None:
    from fleet.campaign import order, told
    from fleet.session import session
    from fleet.shipping import noted
    from fleet.status import hangar_of

    with session(inventory, "all") as fleet:
        hangar = fleet.connections.to(hangar_of(fleet.inventory))
        found = order(hangar, do, **words)
        if do != "status":
            noted(fleet, f"campaign.{do}", found)
    print("\n".join(told(found, as_json)))


@task(
    help={
        **_HELP,
        "artifact": "KIND@REVISION, such as onboard@HEAD or html5@v1.2; maps-NAME; or a build's folder",
        "target": "aircraft; with all, those that are enrolled later belong to it, too",
        "name": "of the campaign; else its kind and revision",
        "waves": "canary first if at all, then per cents of the fleet, the last 100%",
        "gate": "confirmed, or confirmed:90%: so much of a wave, before the next one opens",
        "max-failed": "a number of aircraft, or per cents of those in open waves; more pause it",
        "deadline": "in so many landings an aircraft is called; one that is not done then has failed",
        "at-once": "to so many aircraft it is shipped at the same time",
    }
)
def start(
    c: Context,
    artifact: str,
    target: str = "all",
    name: str = "",
    waves: str = "canary,10%,50%,100%",
    gate: str = "confirmed",
    max_failed: str = "5%",
    deadline: int = 3,
    at_once: int = 16,
    inventory: str = "",
    json: bool = False,
) -> None:
    """Bring a release to the fleet, wave by wave, as its aircraft are heard."""
    from fleet import campaign, campaign_plan, shipping
    from fleet.campaign_plan import Plan
    from fleet.session import fleet_of, session
    from fleet.status import hangar_of

    words: dict[str, Any] = {
        "waves": campaign_plan.waves(waves),
        "gate": campaign_plan.gate(gate),
        "max_failed": campaign_plan.max_failed(max_failed),
        "deadline": campaign_plan.within("--deadline", deadline, 1, 100),
        "at_once": campaign_plan.within("--at-once", at_once, 1, 16),
    }
    called = campaign_plan.name(name) if name else ""
    plan = Plan(**words, **campaign.whom(fleet_of(inventory), target))
    with session(inventory, "all") as fleet:
        hangar = fleet.connections.to(hangar_of(fleet.inventory))
        made, counter = shipping.sealed(
            fleet, "campaign.start", plan.names or ("all",), lambda: campaign.artifact(artifact)
        )
        kind, version = made.manifest.kind, made.manifest.version
        brought = campaign.bring(hangar, made, lambda step: None)
        print(f"on the shelf: {kind} {version}, {brought.bytes / 1e3:.1f} kB", file=sys.stderr)
        found = campaign.order(
            hangar,
            "start",
            name=called or campaign.default_name(made),
            kind=kind,
            version=version,
            plan=plan.plain(),
        )
        shipping.noted(fleet, "campaign.start", found, [counter])
    print("\n".join(campaign.told(found, json)))


@task(help={**_HELP, "name": "only this campaign"})
def status(c: Context, name: str = "", inventory: str = "", json: bool = False) -> None:
    """Show how campaigns stand: waves, counts, and why aircraft failed."""
    from fleet.campaign_plan import name as checked

    _order("status", inventory, json, name=checked(name) if name else "")


@task(help=_HELP)
def pause(c: Context, name: str, inventory: str = "", json: bool = False) -> None:
    """Ship to no other aircraft until it is resumed; what is under way comes to its end."""
    from fleet.campaign_plan import name as checked

    _order("pause", inventory, json, name=checked(name))


@task(
    help={
        **_HELP,
        "retry": "offer it again to the aircraft that failed",
        "gate": "from now on, as in campaign.start",
        "max-failed": "from now on, as in campaign.start",
    }
)
def resume(
    c: Context,
    name: str,
    retry: bool = False,
    gate: str = "",
    max_failed: str = "",
    inventory: str = "",
    json: bool = False,
) -> None:
    """Let a paused campaign go on; the failures so far are borne, and every deadline begins anew."""
    from fleet import campaign_plan as plan

    words = {
        "gate": plan.gate(gate) if gate else None,
        "max_failed": plan.max_failed(max_failed) if max_failed else None,
    }
    _order("resume", inventory, json, name=plan.name(name), retry=retry, **words)


@task(help=_HELP)
def abort(c: Context, name: str, inventory: str = "", json: bool = False) -> None:
    """End a campaign as it is: nobody else gets it, and who has it keeps it."""
    from fleet.campaign_plan import name as checked

    _order("abort", inventory, json, name=checked(name))


@task(help={**_HELP, "wave": "an open one, as campaign.start named it: canary, 10%"})
def rollback(c: Context, name: str, wave: str, inventory: str = "", json: bool = False) -> None:
    """Let the aircraft of a wave go back to their release before when they are heard; pauses the rest."""
    from fleet import campaign_plan as plan

    _order("rollback", inventory, json, name=plan.name(name), wave=plan.wave(wave))


@task(help=_HELP)
def close(c: Context, name: str, inventory: str = "", json: bool = False) -> None:
    """End a campaign that is done; until then aircraft that are enrolled later still get it."""
    from fleet.campaign_plan import name as checked

    _order("close", inventory, json, name=checked(name))


namespace = Collection("campaign")
for _task in (start, status, pause, resume, abort, rollback, close):
    namespace.add_task(_task)
