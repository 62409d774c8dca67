"""The hangar's side of a synchronisation: apply what aircraft pushed, settle users, offer the rest.

Applied change-sets stay in the inbox for `REPLAY`: until they are acknowledged rsync finds them there
and sends nothing twice. What came of a history that its aircraft left is kept as long, applied or not. What
a box had sent that was retired is kept for `RETIRED`.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, select, text

from common.clock import utc_now
from common.database import session
from common.schema import Aircraft
from common.settings import Settings, node_name
from sync import chain, files, forgotten, index, merge_log, publish, seal, snapshot, users
from sync.apply import Outcome, apply_all

__all__ = ["forget", "ingest", "refresh"]

log = logging.getLogger(__name__)

REPLAY = timedelta(days=7)
RETIRED = timedelta(days=30)
_ORPHAN = re.compile(r"\..+\.[A-Za-z0-9]{6}")
_ORPHAN_AGE = timedelta(hours=1)
_STAMP = "%Y%m%dT%H%M%SZ"


def ingest(
    engine: Engine,
    settings: Settings,
    aircraft: str,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Outcome:
    """Apply all that waits from one aircraft, exactly once; fold users; offer what changed to all.

    What is wrong with the offer to another one is logged, and no problem of this one's.

    >>> ingest(engine, settings, "EC-TAA")  # doctest: +SKIP
    Outcome(batches=2, rows=184, problems=[])
    """
    name = node_name(aircraft)
    outcome = apply_all(engine, settings, name, signed=True, folds=users.folds(clock))
    for problem in outcome.problems:
        log.error("%s", problem)
    for waits in outcome.waiting:
        log.info("%s", waits)
    if outcome.quarantined:
        log.warning(
            "%s: %d rows went into quarantine: fab quarantine.list", name, outcome.quarantined
        )
    with engine.begin() as connection:
        # What was refused may be of a person who is erased.
        forgotten.leave_quarantine(connection)
        merge_log.forget(connection, clock())
    offered = refresh(engine, settings, clock=clock)
    if name in offered:
        outcome.problems.append(offered[name])
    _sweep(engine, settings, name, clock())
    return outcome


def refresh(
    engine: Engine, settings: Settings, *, clock: Callable[[], datetime] = utc_now
) -> dict[str, str]:
    """Seal what changed at the hangar, offer to every aircraft what it lacks, remove what nobody does.

    Returns, by the names of those to whom nothing could be offered, why.
    """
    seal.seal_all(engine, settings, clock=clock)
    with session(engine) as database:
        names = database.scalars(select(Aircraft.name).order_by(Aircraft.name)).all()
    problems = publish.offer_all(engine, settings, names, clock=clock)
    for stream in seal.own_streams(settings.role):
        snapshot.prune(engine, settings, stream, clock())
    _remove_retired(settings, clock())
    return problems


def _remove_retired(settings: Settings, now: datetime) -> None:
    """Remove what boxes had sent that were retired longer ago than `RETIRED`."""
    for kept in _retired(settings).glob("*-*"):
        try:
            at = datetime.strptime(kept.name.rpartition("-")[2], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue  # somebody put it there
        if now - at > RETIRED:
            # Whoever had the box may have shut us out of a folder of it: then the others go.
            shutil.rmtree(kept, ignore_errors=True)
            if kept.exists():
                log.error("%s was to go after %d days; remove it as root", kept, RETIRED.days)


def _retired(settings: Settings) -> Path:
    return settings.sync_dir / "retired"


def forget(
    engine: Engine,
    settings: Settings,
    aircraft: str,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> None:
    """Forget an aircraft's box after all that it sent is taken in; another one begins anew.

    What it sent lies in `sync/retired/<AIRCRAFT>-<time>` afterwards, for `RETIRED`. What was cut short here
    is done by the next call.
    """
    name = node_name(aircraft)
    try:
        # Its key is unknown here by now; it was known when the gate let this in.
        problems = apply_all(engine, settings, name, folds=users.folds(clock)).problems
    except OSError as error:
        # Whoever has the box may have shut us out of what it pushed.
        problems = [f"{name}: what it sent last cannot be read: {error}"]
    for problem in problems:
        log.error("%s", problem)
    inbox = files.inbox(settings, name)
    if inbox.is_dir():
        kept = _retired(settings) / f"{name}-{clock().strftime(_STAMP)}"
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        inbox.rename(kept)
    # A new box numbers its change-sets from one, in an epoch of its own; the same one may come back in its.
    with engine.begin() as connection:
        for book in ("cursor", "applied", "held", "need"):
            connection.execute(
                text(f"delete from sync.{book} where peer = :peer"),  # noqa: S608
                {"peer": name},
            )
    shutil.rmtree(settings.sync_dir / "outbox" / name, ignore_errors=True)


def _sweep(engine: Engine, settings: Settings, aircraft: str, now: datetime) -> None:
    inbox = files.inbox(settings, aircraft)
    with engine.connect() as connection:
        old = connection.execute(
            text(
                "select a.stream, a.epoch, max(a.seq) as seq from sync.applied a "
                "where a.peer = :peer and a.applied_at < :before group by a.stream, a.epoch"
            ),
            {"peer": aircraft, "before": now - REPLAY},
        ).all()
    for stream, epoch, last in old:
        folder = inbox / stream / files.epoch8(epoch)
        if folder in files.epoch_folders(folder.parent):
            for seq, path in files.change_sets(folder):
                if seq <= last:
                    path.unlink(missing_ok=True)
    _sweep_strays(engine, settings, aircraft, now)
    for folder in files.histories(inbox):
        _remove_orphans(folder, now)


def _sweep_strays(engine: Engine, settings: Settings, aircraft: str, now: datetime) -> None:
    """Remove what came of histories that the aircraft left, once an index came that names nothing of them."""
    try:
        # First: one that comes into its place meanwhile is no older.
        told = (files.inbox(settings, aircraft) / index.NAME).lstat().st_ctime
        vouched = index.vouched(settings, aircraft)
    except FileNotFoundError:
        return  # it is still to come
    except index.BadIndex as error:
        log.error("%s", error)
        return
    before = min(told, (now - REPLAY).timestamp())
    for folder in chain.strays(engine, settings, aircraft, vouched):
        for _, path in files.change_sets(folder):
            # What does not fit came in the next history, too; an aircraft that knows better sends it again.
            with suppress(FileNotFoundError):
                if path.stat().st_ctime < before:
                    path.unlink()


def _remove_orphans(folder: Path, now: datetime) -> None:
    """Remove what rsync was writing when the power went; what a running one writes is younger."""
    for path in folder.iterdir():
        if not _ORPHAN.fullmatch(path.name):
            continue
        # A running rsync may have given it its real name by now.
        with suppress(FileNotFoundError):
            if now.timestamp() - path.lstat().st_mtime > _ORPHAN_AGE.total_seconds():
                path.unlink()
