"""How a piece of work is done: claim its row, call the function, write how it ended.

The tasks of `worker` are one line each; what they call stands here, without Celery in it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
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
from hangar_app.work import Claim, Job, Kind
from sync import hangar, publish, seal

log = logging.getLogger(__name__)

TRIES = 3  # of an import whose worker is lost
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


# Gives what is kept in the row of work that went well; None where it ended the row itself.
Performer = Callable[[Tools, Claim], dict[str, Any] | None]


def tools_for(settings: Settings, enqueue: Callable[[Job], None]) -> Tools:
    """The tools of a worker's process."""
    return Tools(settings, engine_for(settings), enqueue)


def begin(tools: Tools, kinds: Sequence[Kind]) -> None:
    """What the worker of these kinds does before it takes anything.

    The manifest is written too: time may have run out for some of its items meanwhile.
    """
    for kind in kinds:
        lose(tools, kind)
    if work.PUBLISH in kinds:
        with tools.session() as session:
            work.start(session, [work.PUBLISH], tools.clock())
            session.commit()
    take_up(tools, kinds)


def take_up(tools: Tools, kinds: Sequence[Kind], waited_s: float = 0) -> None:
    """Wakes workers for what waits so long: its message is lost, or the broker was away; and for what
    failed, where nobody else asks for it again."""
    with tools.session() as session:
        now = tools.clock()
        waiting = work.waiting(session, kinds, now - timedelta(seconds=waited_s))
        for kind in kinds:
            if kind.again_s:
                waiting += work.try_again(session, kind, now)
        session.commit()
    for each in waiting:
        tools.enqueue(each)


def lose(tools: Tools, kind: Kind, only: UUID | None = None) -> None:
    """Ends the rows of a kind that run, or the one of them, because what did them is gone.

    A kind has one worker, so at its start none of its rows can be running. An import whose upload
    is there still is tried again, but not for ever: it may be what brought the worker down.
    """
    with tools.session() as session:
        for claim in work.running(session, kind, only):
            log.warning("work %s (%s) lost its worker", claim.id, kind.name)
            if kind is work.MEDIA:
                folder = _folder(tools, claim)
                lost = int(claim.detail.get("lost", 0)) + 1
                if lost < TRIES and (folder / job.UPLOAD).exists():
                    work.again(session, claim.id, tools.clock(), {"lost": lost})
                    continue
                shutil.rmtree(folder, ignore_errors=True)
            work.finish(session, claim.id, tools.clock(), work.WORKER_LOST)
        session.commit()


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
        if detail is not None:
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


def media(tools: Tools, claim: Claim) -> None:
    """Imports an upload: the item and the end of the work are one transaction.

    Only after it is the upload removed, so that an import that was cut can be done again.
    """
    request = job.Request.of(claim.detail)
    try:
        stored = importing.render_and_store(request, _folder(tools, claim), tools.settings)
    except MediaError as error:
        _clear(tools, claim)
        raise WorkFailed(str(error)) from error
    now = tools.clock()
    with tools.session() as session:
        item = importing.write_item(session, request, stored, now)
        done = {"item": str(item), "files": len(stored)}
        work.finish(session, claim.id, now, detail=done)
        jobs = work.start(session, [work.PUBLISH], now)
        session.commit()
    for waiting in jobs:
        tools.enqueue(waiting)
    _clear(tools, claim)


def _folder(tools: Tools, claim: Claim) -> Path:
    return job.folder(tools.settings.state_dir, claim.id)


def _clear(tools: Tools, claim: Claim) -> None:
    """Removes an import's folder, and what others left."""
    shutil.rmtree(_folder(tools, claim), ignore_errors=True)
    job.sweep(tools.settings.state_dir, tools.clock())
