"""Campaigns as ops order them: `python -m hangar_app.campaign_orders`, over their SSH.

    offer    the head of an artifact on standard input: which of its files are not on the shelf yet
    accept   an artifact on standard input, in the stream in which aircraft get it
    order    one line of JSON on standard input, as `Order` has it

The answer is one line of JSON. To an order it is {"campaigns": […]} as `campaign_seen` has them, or
{"refused": why, "remedy": what to do}; then nothing was changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from common.clock import utc_now
from common.database import engine_for
from common.database import session as database_session
from common.settings import Settings
from fleet.aboard.errors import AboardError
from fleet.campaign_plan import Plan
from fleet.campaign_shelf import Shelf, shelf
from fleet.errors import FleetError
from hangar_app import campaign_acts as acts
from hangar_app import campaign_seen
from hangar_app import campaign_store as store
from hangar_app.campaign_store import OPEN, Campaign

LINE_LIMIT = 1_048_576  # bytes
BAD_ORDER = 65

Aircraft = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,30}$")]
Fleet = Annotated[list[Aircraft], Field(max_length=5000)]
Share = Annotated[int, Field(ge=1, le=100)]
Bound = Annotated[str, Field(pattern=r"^\d{1,4}%?$")]
Word = Annotated[str, Field(pattern=r"^(canary|\d{1,3}%)$")]


class Refused(Exception):
    """An order that cannot be carried out as things stand; nothing was changed."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


class Agreed(BaseModel):
    """What ops send has no word that is not known here."""

    model_config = ConfigDict(extra="forbid")


class PlanSaid(Agreed):
    """A plan, as `fleet.campaign_plan.Plan` gives it."""

    waves: Annotated[list[Word], Field(min_length=1, max_length=20)]
    gate: Share
    max_failed: Bound
    deadline: Annotated[int, Field(ge=1, le=100)]
    at_once: Annotated[int, Field(ge=1, le=64)]
    canary: Fleet
    everyone: bool
    names: Fleet
    left_out: Fleet


class Order(Agreed):
    """What ops ask for; `plan`, `kind` and `version` are for start only."""

    do: Literal["start", "status", "pause", "resume", "abort", "rollback", "close"]
    operator: Annotated[str, Field(min_length=1, max_length=200)]
    name: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,39})?$")] = ""
    kind: Annotated[str, Field(pattern=r"^((maps-)?[a-z][a-z0-9]{0,25})?$")] = ""
    version: Annotated[str, Field(pattern=r"^(\d{14}-[0-9a-f]{12})?$")] = ""
    plan: PlanSaid | None = None
    wave: Word | None = None
    retry: bool = False
    gate: Share | None = None
    max_failed: Bound | None = None


def read(source: BinaryIO) -> Order:
    """Reads one order.

    Raises:
        ValidationError: it is not as agreed.
    """
    return Order.model_validate_json(source.readline(LINE_LIMIT))


def carry_out(session: Session, order: Order, place: Shelf, now: datetime) -> list[dict[str, Any]]:
    """Does what an order says and returns the campaigns that it was about; the caller commits.

    Raises:
        Refused: it cannot be done; nothing was changed.
    """
    if order.do == "start":
        _start(session, order, place, now)
    elif order.do != "status":
        _ACTS[order.do](session, _named(session, order), order, now)
    elif order.name:
        _named(session, order)
    return campaign_seen.seen(session, now, order.name)


def _named(session: Session, order: Order) -> Campaign:
    if (one := store.held(session, order.name)) is None:
        raise Refused(f"there is no campaign {order.name!r}", "fab campaign.status shows all")
    return one


def _start(session: Session, order: Order, place: Shelf, now: datetime) -> None:
    if order.plan is None or not order.name:
        raise Refused("a campaign that starts has a name and a plan")
    plan = Plan.of(order.plan.model_dump())
    store.alone(session)
    if store.held(session, order.name) is not None:
        raise Refused(f"there is a campaign {order.name} already", "give this one another --name")
    known = store.in_fleet(session)
    if strange := sorted({*plan.names, *plan.canary} - known):
        raise Refused(
            f"the hangar does not know {', '.join(strange)}",
            "fab converge and fab deploy-hangar on the hangar bring the inventory's aircraft there",
        )
    if taken := store.overlapping(session, order.kind, plan):
        name, (other, is_open) = next(iter(taken.items()))
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        if is_open:
            why = f"in the campaign {other}, which brings {order.kind}, too"
            remedy = f"fab campaign.close or campaign.abort --name {other} first, or leave it out"
        else:
            why = f"still to go back from what the campaign {other} brought"
            remedy = f"wait until it is heard, or leave it out: --target 'all,!{name}'"
        raise Refused(f"{name}{more} is {why}", remedy)
    place.get(order.kind, order.version)
    place.collect(store.used(session) | {(order.kind, order.version)})
    store.add(session, order.name, order.kind, order.version, order.operator, plan, now)


def _pause(session: Session, one: Campaign, order: Order, now: datetime) -> None:
    _must_be(one, "running")
    store.put(session, one.id, now, state="paused", reason=f"paused by {order.operator}")


def _resume(session: Session, one: Campaign, order: Order, now: datetime) -> None:
    """Failures so far are borne: it pauses again when as many as it may bear fail anew."""
    _must_be(one, "paused")
    plan = replace(
        one.plan,
        gate=order.gate or one.plan.gate,
        max_failed=order.max_failed or one.plan.max_failed,
    )
    acts.offer_again(session, one, order.retry, now)
    failed = sum(wave.failed for wave in store.standing(session, one).waves)
    changed: dict[str, Any] = {"state": "running", "reason": "", "plan": plan, "excused": failed}
    store.put(session, one.id, now, **changed)
    store.advance(session, replace(one, **changed), now, resumed=True)


def _abort(session: Session, one: Campaign, order: Order, now: datetime) -> None:
    _must_be(one, *OPEN)
    store.put(session, one.id, now, state="aborted", reason=f"aborted by {order.operator}")


def _rollback(session: Session, one: Campaign, order: Order, now: datetime) -> None:
    _must_be(one, *OPEN, "aborted")
    opened = one.plan.waves[: one.wave + 1]
    if order.wave not in opened:
        raise Refused(
            f"{one.name}: expected an open wave, found {order.wave}", f"one of {', '.join(opened)}"
        )
    if one.state == "aborted":
        others = store.overlapping(session, one.kind, one.plan).values()
        taken = {name for name, _ in others} - {one.name}
        if taken:
            raise Refused(
                f"{one.name} is aborted, and {min(taken)} brings its aircraft {one.kind} by now",
                f"fab campaign.abort --name {min(taken)} first",
            )
    acts.go_back(session, one, opened.index(order.wave))
    if one.state in OPEN:
        reason = f"the wave {order.wave} is rolled back by {order.operator}"
        store.put(session, one.id, now, state="paused", reason=reason)


def _close(session: Session, one: Campaign, order: Order, now: datetime) -> None:
    _must_be(one, *OPEN)
    if undone := acts.undone(session, one):
        raise Refused(
            f"{one.name}: {undone} aircraft are not done yet",
            f"fab campaign.abort --name {one.name} ends it for them as they are",
        )
    store.put(session, one.id, now, state="closed", reason=f"closed by {order.operator}")


_ACTS: Mapping[str, Any] = {
    "pause": _pause,
    "resume": _resume,
    "abort": _abort,
    "rollback": _rollback,
    "close": _close,
}


def _must_be(one: Campaign, *states: str) -> None:
    if one.state not in states:
        raise Refused(f"the campaign {one.name} is {one.state}: expected {' or '.join(states)}")


def main(argv: list[str] | None = None, source: BinaryIO | None = None) -> int:
    """The command; 0 when an answer was given, 65 when what was sent is not as agreed."""
    words, source = argv or sys.argv[1:], source or sys.stdin.buffer
    settings = Settings.load()
    place = shelf(settings.artifacts_dir)
    try:
        if words == ["offer"]:
            said: Mapping[str, Any] = place.offer(source)
        elif words == ["accept"]:
            said = place.accept(source)
        elif words == ["order"]:
            with database_session(engine_for(settings)) as session:
                said = {"campaigns": carry_out(session, read(source), place, utc_now())}
        else:
            sys.stderr.write("usage: campaign offer|accept|order\n")
            return 64
    except Refused as refused:
        said = {"refused": str(refused), "remedy": refused.remedy}
    except FleetError as error:
        said = {"refused": error.what, "remedy": error.remedy}
    except AboardError as error:
        why = str(error)
        ordered = words == ["order"]
        said = {"refused": why, "remedy": ""} if ordered else {"result": "failed", "reason": why}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        sys.stderr.write(f"hangar_app.campaign_orders: {where}: {first['msg']}\n")
        return BAD_ORDER
    sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
