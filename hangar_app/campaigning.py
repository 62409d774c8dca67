"""Does what a campaign has for an aircraft that was just heard: one call over SSH, or none.

What an aircraft is offered and when is decided in `campaign`; how the call ended is written down here. An
aircraft that is gone again, or that another run holds, is no failure of the release: it stays pending.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from fleet import campaign_ship
from fleet.artifact import Artifact
from fleet.campaign_shelf import shelf
from fleet.campaign_ship import Place
from fleet.errors import FleetError, Offline
from fleet.release import Outcome
from hangar_app import campaign_store as store
from hangar_app.campaign import Ended, elsewhere
from hangar_app.campaign_store import Task
from hangar_app.performing import Tools, WorkFailed
from hangar_app.work import Claim

Ship = Callable[[Place, Artifact], Outcome]
GoBack = Callable[[Place, str, str], Outcome]


def begin(tools: Tools) -> None:
    """What the worker of campaigns does before it takes anything."""
    with tools.session() as session:
        store.go_on(session, tools.clock())
        session.commit()


def campaign(
    tools: Tools,
    claim: Claim,
    ship: Ship = campaign_ship.ship,
    go_back: GoBack = campaign_ship.go_back,
) -> dict[str, Any]:
    """Does what campaigns have for an aircraft, the oldest campaign first.

    Raises:
        WorkFailed: a call failed, with the reason; the campaign has it, too.
    """
    with tools.session() as session:
        found = store.open_for(session, claim.aircraft)
    done: list[str] = []
    for id in found:
        with tools.session() as session:
            task = store.take(session, id, claim.aircraft, claim.id, tools.clock())
            session.commit()
        if task is not None:
            done.append(_call(tools, claim, task, ship, go_back))
    return {"progress": "; ".join(done) or "nothing is to be done now"}


def _call(tools: Tools, claim: Claim, task: Task, ship: Ship, go_back: GoBack) -> str:
    settings = tools.settings
    place = Place(claim.aircraft, task.tower, settings.dispatch_key, settings.known_hosts)
    try:
        if task.back:
            outcome = go_back(place, task.kind, task.version)
        else:
            artifact = shelf(settings.artifacts_dir).get(task.kind, task.version)
            outcome = ship(place, artifact)
    except Offline as error:
        _not_now(tools, claim, task, error.what)
    except FleetError as error:
        _end(tools, claim, task, Ended("failed", str(error)[:2000]))
        raise WorkFailed(f"{task.name}: {error.what}") from error
    if outcome.result == "busy":
        _not_now(tools, claim, task, str(outcome.reason))
    ended = _ended(task, outcome)
    _end(tools, claim, task, ended)
    if ended.state == "failed":
        raise WorkFailed(f"{task.name}: {ended.reason}")
    return f"{task.name}: {task.kind} {task.version} {ended.state}, {outcome.bytes / 1e3:.1f} kB"


def _ended(task: Task, outcome: Outcome) -> Ended:
    if not outcome.ok:
        return Ended("failed", f"{outcome.result}: {outcome.reason or 'it gave no reason'}"[:2000])
    if not task.back:
        return Ended("confirmed")
    if outcome.result == "already":
        return elsewhere(outcome.version)
    return Ended("rolled_back", f"it went back to {outcome.version}")


def _not_now(tools: Tools, claim: Claim, task: Task, reason: str) -> NoReturn:
    with tools.session() as session:
        store.not_now(session, task.campaign, claim.aircraft, reason)
        session.commit()
    raise WorkFailed(f"{task.name}: {reason}")


def _end(tools: Tools, claim: Claim, task: Task, ended: Ended) -> None:
    with tools.session() as session:
        store.end(session, task.campaign, claim.aircraft, ended, tools.clock())
        session.commit()
