"""One synchronisation, as `sync-now` runs it aboard: make room, seal, push, pull, apply, fetch, show.

While content is fetched rows go on: where they become due it makes way, and goes on after them.

Each step is safe to repeat and leaves a whole state behind, so the session may be killed anywhere;
the next one sends only what is missing. One session runs at a time.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, text

from common.clock import utc_now
from common.settings import Settings
from sync import content, files, forgotten, index, partial, retention, seal, signature
from sync.apply import apply_all
from sync.choice import Lately
from sync.outcome import Outcome
from sync.overtake import Overtaking
from sync.rsync import Link, LinkLost, Moved, TransferError, link_for

__all__ = ["Busy", "Report", "lock_path", "run"]


class Busy(Exception):
    """Another synchronisation is running here."""


@dataclass
class Report:
    """What a session did: rows and files that moved, bytes on the link, seconds, and problems."""

    sealed_batches: int = 0
    sealed_rows: int = 0
    applied_batches: int = 0
    applied_rows: int = 0
    content_files: int = 0
    content_version: str = ""
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    pushed: bool = False
    problems: list[str] = field(default_factory=list)


def lock_path(settings: Settings) -> Path:
    """Return the file whose lock a session holds."""
    return settings.run_dir / "sync.lock"


def _silent(line: str) -> None:
    """No one watches the progress."""


def run(
    settings: Settings,
    engine: Engine,
    progress: Callable[[str], None] = _silent,
    *,
    link: Link | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Report:
    """Synchronise with the hangar once; returns what moved.

    Arguments: `progress` is told each step in a short line; `link` is the way to the hangar, by
    default the one of the settings. Raises `Busy`, and `rsync.LinkLost`, `rsync.Refused` or
    `rsync.TransferError` when the hangar cannot be reached; what was done until then is kept. A push
    alone that is refused or fails is one of the report's problems.

    >>> run(settings, engine, print).applied_rows  # doctest: +SKIP
    12
    """
    report, began = Report(), time.monotonic()
    with _alone(settings):
        # First, because what is sealed has to be kept.
        retention.keep(engine, settings, clock=clock)
        _seal(engine, settings, report, progress, clock)
        way = link or link_for(settings)
        try:
            way.open()
            overtaking, lately = Overtaking(settings), Lately()
            moved, received = Moved(), content.Received(overtaken=True)
            while received.overtaken:
                pushed, pulled = _exchange(engine, settings, way, progress, clock())
                outcome = _apply(engine, settings, report, progress)
                overtaking.exchanged()
                came = content.receive(
                    settings, way, progress, clock=clock, overtaking=overtaking, lately=lately
                )
                moved += pushed + pulled
                received = received.then(came)
                if received.overtaken:
                    _seal(engine, settings, report, progress, clock)
        finally:
            way.close()
        moved += received.moved
        report.pushed = not pushed.problem
        report.content_files, report.content_version = received.files, received.version
        report.bytes_sent, report.bytes_received = moved.sent, moved.received
        # What was not right at first and came right at last is no problem any more.
        moving = filter(None, dict.fromkeys([pushed.problem, pulled.problem]))
        report.problems = [*moving, *outcome.problems, *received.problems]
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    path = lock_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise Busy(
                f"{settings.node}: a synchronisation is running already (process {owner}); "
                "it does what this one would"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        # The lock goes with the descriptor, also when the process is killed.
        os.close(descriptor)


def _seal(
    engine: Engine,
    settings: Settings,
    report: Report,
    progress: Callable[[str], None],
    clock: Callable[[], datetime],
) -> None:
    sealed = seal.seal_all(engine, settings, clock=clock)
    rows = sum(batch.rows for batch in sealed)
    report.sealed_batches += len(sealed)
    report.sealed_rows += rows
    progress(f"sealed {rows} rows in {len(sealed)} change-sets")


def _apply(
    engine: Engine, settings: Settings, report: Report, progress: Callable[[str], None]
) -> Outcome:
    outcome = apply_all(engine, settings, files.HANGAR, signed=True)
    forgotten.sweep(engine)
    report.applied_batches += outcome.batches
    report.applied_rows += outcome.rows
    progress(f"applied {outcome.rows} rows in {outcome.batches} change-sets")
    for waits in outcome.waiting:
        progress(waits)
    if outcome.quarantined:
        progress(f"{outcome.quarantined} of the rows went into quarantine")
    return outcome


def _exchange(
    engine: Engine,
    settings: Settings,
    link: Link,
    progress: Callable[[str], None],
    now: datetime,
) -> tuple[Moved, Moved]:
    """Push and pull at once: each waits for the other end a dozen times, and so they wait together."""
    with engine.connect() as connection:
        waiting = connection.execute(
            text("select stream, epoch, seq from sync.batch where state = 'published'")
        ).all()
    kept = files.former(settings)
    left = any(kept.glob("*/*/*.cs"))
    if not waiting and not left:
        return Moved(), _pull(settings, link, progress)
    try:
        index.write(settings, files.outbox(settings), kept)
    except signature.BadSignature as error:
        problem = f"nothing was sent, the hangar takes nothing unsigned: {error}"
        return Moved(problem=problem), _pull(settings, link, progress)
    with ThreadPoolExecutor(1) as beside:
        pushing = beside.submit(_push, link, [*([kept] if left else []), files.outbox(settings)])
        try:
            pulled = _pull(settings, link, progress)
        finally:
            pushed = pushing.result()
            # Where something is wrong it is not known which of them came, so none counts as pushed: the
            # next run sends the rest.
            if not pushed.problem:
                _note_pushed(engine, waiting, now)
                progress(f"pushed {len(waiting)} change-sets, {pushed.sent} bytes")
    return pushed, pulled


def _push(link: Link, folders: Sequence[Path]) -> Moved:
    moved = Moved()
    for folder in folders:
        try:
            moved += link.push(folder)
        except LinkLost:
            raise
        except TransferError as error:
            # What comes down is not to wait until the hangar takes what goes up.
            moved += Moved(problem=str(error))
        if moved.problem:
            break
    return moved


def _note_pushed(engine: Engine, waiting: Sequence[Row[Any]], now: datetime) -> None:
    if not waiting:
        return
    with engine.begin() as connection:
        connection.execute(
            text(
                "update sync.batch set pushed_at = :now where state = 'published' "
                "and stream = :stream and epoch = :epoch and seq = :seq and pushed_at is null"
            ),
            [{**batch._mapping, "now": now} for batch in waiting],
        )


def _pull(settings: Settings, link: Link, progress: Callable[[str], None]) -> Moved:
    inbox = files.inbox(settings, files.HANGAR).parent
    # We hold the lock, so a name of rsync's own was left by a run that was cut.
    partial.adopt(inbox)
    moved = link.pull(inbox)
    if not moved.problem:
        partial.sweep(inbox)
    progress(f"pulled {moved.received} bytes")
    return moved
