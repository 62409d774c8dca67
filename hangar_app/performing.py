"""How a piece of work is done: claim its row, call the function, write how it ended.

The tasks of `worker` are one line each; what they call stands here, without Celery in it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from common.clock import utc_now
from common.database import engine_for
from common.settings import Settings
from hangar_app import dispatch as dispatching
from hangar_app import work
from hangar_app.media import importing, job
from hangar_app.media.rendition import MediaError
from hangar_app.work import Claim, Job
from sync import hangar, publish, seal

log = logging.getLogger(__name__)

NOTE_EVERY_S = 2.0  # an aircraft may say a hundred lines a second; the page is looked at every five


class WorkFailed(Exception):
    """Work that ended badly for a reason that people can read; `detail` goes into the row."""

    def __init__(self, reason: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.detail = detail or {}


@dataclass(frozen=True)
class Tools:
    """What all work needs; tests put their own in each place."""

    settings: Settings
    engine: Engine
    enqueue: Callable[[Job], None]
    clock: Callable[[], datetime] = utc_now
    call: dispatching.Caller | None = None

    def session(self) -> Session:
        """A new session; the caller ends it."""
        return sessionmaker(self.engine)()


Performer = Callable[[Tools, Claim], dict[str, Any]]


def take_up(tools: Tools) -> None:
    """Wakes workers for all that waits, when one has just started: its message may be lost.

    The manifest is written too: time may have run out for some of its items meanwhile.
    """
    with tools.session() as session:
        work.start(session, [work.PUBLISH], tools.clock())
        waiting = work.waiting(session)
        session.commit()
    for each in waiting:
        tools.enqueue(each)


def tools_for(settings: Settings, enqueue: Callable[[Job], None]) -> Tools:
    """The tools of a worker's process."""
    return Tools(settings, engine_for(settings), enqueue)


def perform(tools: Tools, id: UUID, performer: Performer) -> None:
    """Does one piece of work if its row is still waiting, and writes how it ended.

    An error that nobody foresaw fails the row too, with its name, and goes on into the log.
    """
    with tools.session() as session:
        claim = work.claim(session, id, tools.clock())
        session.commit()
    if claim is None:
        log.info("work %s is not waiting any more", id)
        return
    try:
        detail = performer(tools, claim)
    except WorkFailed as error:
        log.warning("work %s failed: %s", id, error)
        _end(tools, id, str(error), error.detail)
    except Exception as error:
        _end(tools, id, f"{type(error).__name__}: {error}"[:2000], {})
        raise
    else:
        _end(tools, id, None, detail)


def _end(tools: Tools, id: UUID, reason: str | None, detail: dict[str, Any]) -> None:
    with tools.session() as session:
        work.finish(session, id, tools.clock(), reason, detail)
        session.commit()


def dispatch(tools: Tools, claim: Claim) -> dict[str, Any]:
    """Calls the aircraft over SSH; what it says goes into the row, now and then while it runs."""
    with tools.session() as session:
        tower = session.execute(
            text("SELECT tower FROM aircraft WHERE name = :name"),
            {"name": claim.aircraft},
        ).scalar()
    if tower is None:
        raise WorkFailed(f"no aircraft {claim.aircraft} is in the fleet any more")
    settings = tools.settings
    route = dispatching.Route(claim.aircraft, tower, settings.dispatch_key, settings.known_hosts)
    noted = tools.clock()

    def progress(told: dict[str, Any]) -> None:
        nonlocal noted
        if "progress" not in told or (tools.clock() - noted).total_seconds() < NOTE_EVERY_S:
            return
        noted = tools.clock()
        with tools.session() as session:
            work.note(session, claim.id, {"progress": str(told["progress"])})
            session.commit()

    try:
        return dispatching.dispatch(route, progress, tools.call)
    except dispatching.DispatchFailed as error:
        raise WorkFailed(str(error), error.last) from error


def ingest(tools: Tools, claim: Claim) -> dict[str, Any]:
    """Applies what the aircraft pushed, exactly once, and makes ready what follows from it."""
    outcome = hangar.ingest(tools.engine, tools.settings, claim.aircraft)
    with tools.session() as session:
        work.forget(session, tools.clock())
        session.commit()
    detail = {"batches": outcome.batches, "rows": outcome.rows}
    if outcome.problems:
        raise WorkFailed("; ".join(outcome.problems), detail)
    return detail


def publish_catalogue(tools: Tools, claim: Claim) -> dict[str, Any]:
    """Seals what changed and writes the manifest of the content that published items name."""
    seal.seal_all(tools.engine, tools.settings)
    problems = publish.publish(tools.engine, tools.settings)
    if problems:
        raise WorkFailed("; ".join(problems))
    return {}


def media(tools: Tools, claim: Claim) -> dict[str, Any]:
    """Imports an upload: the item and the end of the work are one transaction."""
    request = job.Request.of(claim.detail)
    folder = job.folder(tools.settings.state_dir, claim.id)
    try:
        stored = importing.render_and_store(request, folder, tools.settings)
    except MediaError as error:
        raise WorkFailed(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        job.sweep(tools.settings.state_dir, tools.clock())
    now = tools.clock()
    with tools.session() as session:
        item = importing.write_item(session, request, stored, now)
        jobs = work.start(session, [work.PUBLISH], now)
        session.commit()
    for waiting in jobs:
        tools.enqueue(waiting)
    return {"item": str(item), "files": len(stored)}
