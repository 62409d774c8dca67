"""What the hangar offers each aircraft: a folder of hard links that its key may read.

`sync/outbox/<AIRCRAFT>/` holds `down/<stream>/<epoch8>/*.cs`, links to those of the change-sets, sealed
once for the fleet, that `sync.shelf` chose, their signed `down/index.json`, and `content/manifest.json`, a
link to the one of its audience, with `content/blobs/ab/<sha256>`. One aircraft more costs links, no sealing,
signing or copies. Links come before the manifest that names them and go after it, so a reader never finds a
name without its file; `content/.head.json`, which comes last and does not travel, is what heartbeats are
answered from.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.orm import Session

from common.clock import utc_now
from common.database import session
from common.schema import Aircraft, Asset
from common.schema import Item as CatalogueItem
from common.settings import Settings, node_name
from sync import files, index, signature, stock, tree, unnamed
from sync.audience import audience_of
from sync.issue import issue, sweep
from sync.manifest import BadManifest, File, Item, Manifest
from sync.shelf import Shelf, lay_out
from sync.stock import Stock

__all__ = ["offer", "offer_all", "publish", "store"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """What was looked at for one aircraft and is the same for the next: the content, and streams by name."""

    stock: Stock
    shelves: dict[str, Shelf] = field(default_factory=dict)


def store(settings: Settings, source: Path) -> tuple[str, int]:
    """Copy a file among the hangar's blobs and return its SHA-256 and size in bytes.

    >>> store(settings, Path("poster.jpg"))  # doctest: +SKIP
    ('9f86d081884c7d65…', 48211)
    """
    staging = settings.content_dir / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    beside = staging / uuid4().hex
    digest = hashlib.sha256()
    try:
        with source.open("rb") as given, beside.open("wb") as kept:
            while chunk := given.read(2**20):
                digest.update(chunk)
                kept.write(chunk)
            size = kept.tell()
            kept.flush()
            # Every aircraft's offer links this very file: nobody writes it again.
            os.fchmod(kept.fileno(), 0o444)
            os.fsync(kept.fileno())
        # One that is here already may be about to go, because nothing names it (`sync.unnamed`).
        with tree.locked(settings.content_dir):
            files.move(beside, tree.blob_path(settings.content_dir, digest.hexdigest()))
    finally:
        beside.unlink(missing_ok=True)
    return digest.hexdigest(), size


def publish(
    engine: Engine, settings: Settings, *, clock: Callable[[], datetime] = utc_now
) -> list[str]:
    """Write and sign each audience's manifest of what is published and has not expired, and offer it.

    An item whose validity begins later is in it: its files travel before it may be seen. Returns in
    words which items were left out because a file of theirs is not at the hangar, and what else is wrong:
    an audience or an aircraft with which something is, keeps no other from its own.
    """
    content = settings.content_dir
    # Read and written in one go: of two editors who publish at once, the later one's list stays.
    with _alone(engine, "publish"):
        with session(engine) as database:
            fleet = {one.name: audience_of(one) for one in database.scalars(select(Aircraft))}
            published, problems = _published(database, content, clock())
            chosen = {
                audience: tuple(item for one, item in published if audience.wants(one))
                for audience in set(fleet.values())
            }
        sign = partial(signature.sign, settings.ssh_key)
        try:
            for audience, items in chosen.items():
                try:
                    issue(content, audience, Manifest(items, audience.json()), sign)
                except (BadManifest, OSError) as error:
                    problems.append(f"{audience} is offered no content anew: {error}")
        except signature.BadSignature as error:
            problems.append(f"no content is offered anew: {error}")
        # Aircraft that were of an audience have links of their own.
        sweep(content, chosen)
    for problem in problems:
        log.error("%s", problem)
    now = Round(Stock(content))
    offered = offer_all(engine, settings, sorted(fleet), whole=True, clock=clock, looked_at=now)
    problems += offered.values()
    # Also where something is wrong: it may be that there is no room.
    return problems + _tidy(engine, now.stock, clock())


def _tidy(engine: Engine, stock: Stock, now: datetime) -> list[str]:
    try:
        with _alone(engine, "publish"):
            problems = unnamed.remove(engine, stock, now)
    except OSError as error:
        problems = [f"what nothing names any more is not removed: {error}"]
    for problem in problems:
        log.error("%s", problem)
    return problems


def offer_all(
    engine: Engine,
    settings: Settings,
    fleet: Iterable[str],
    *,
    whole: bool = False,
    clock: Callable[[], datetime] = utc_now,
    looked_at: Round | None = None,
) -> dict[str, str]:
    """Bring the outbox of each of these aircraft up to date; return, by name, why one's could not be.

    Arguments: as of `offer`.
    """
    looked_at = looked_at or Round(Stock(settings.content_dir))
    problems = {}
    for name in fleet:
        try:
            offer(engine, settings, name, whole=whole, clock=clock, looked_at=looked_at)
        except OSError as error:
            problems[name] = f"{name} is offered nothing anew: {error}"
            log.error("%s", problems[name])
    return problems


def offer(
    engine: Engine,
    settings: Settings,
    aircraft: str,
    *,
    whole: bool = False,
    clock: Callable[[], datetime] = utc_now,
    looked_at: Round | None = None,
) -> None:
    """Bring one aircraft's outbox up to date: the change-sets that it lacks, the manifest, its blobs.

    Arguments: how far the aircraft has come is what its last heartbeat said; `looked_at` is what was looked
    at for another one already; with `whole` each blob is looked for, also where the manifest is offered
    already.
    """
    looked_at = looked_at or Round(Stock(settings.content_dir))
    base = settings.sync_dir / "outbox" / node_name(aircraft)
    with _alone(engine, f"offer {aircraft}") as connection:
        heard = connection.execute(
            text("select last_body, last_seen from aircraft where name = :name"), {"name": aircraft}
        ).one_or_none()
        body, seen = (heard.last_body, heard.last_seen) if heard else (None, None)
        lay_out(engine, settings, base, body, seen, clock(), looked_at.shelves)
        try:
            index.write(settings, base / "down")
        except signature.BadSignature as error:
            log.error("%s is offered no change-sets anew: %s", aircraft, error)
        with session(engine) as database:
            one = database.get(Aircraft, aircraft)
            audience = audience_of(one) if one else None
        base.mkdir(parents=True, exist_ok=True)
        if audience is not None:
            stock.offer(looked_at.stock, audience, base / "content", whole=whole)


@contextmanager
def _alone(engine: Engine, what: str) -> Iterator[Connection]:
    """Let one process at a time do this, and give the connection that holds the lock."""
    with engine.begin() as connection:
        connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
            {"key": f"turnaround {what}"},
        )
        yield connection


def _published(
    database: Session, content: Path, now: datetime
) -> tuple[list[tuple[CatalogueItem, Item]], list[str]]:
    """Return what is published as it stands in manifests, and what cannot be offered and why."""
    found, problems = [], []
    published = database.scalars(
        select(CatalogueItem)
        .where(CatalogueItem.published)
        .where((CatalogueItem.valid_to.is_(None)) | (CatalogueItem.valid_to > now))
        .order_by(CatalogueItem.id)
    ).all()
    assets: dict[object, list[Asset]] = {}
    for asset in database.scalars(select(Asset).order_by(Asset.item_id, Asset.path)):
        assets.setdefault(asset.item_id, []).append(asset)
    for one in published:
        own = assets.get(one.id, [])
        lacking = [asset.path for asset in own if not _is_here(content, asset)]
        if lacking:
            problems.append(
                f"{one.kind} {one.id} is not offered: {', '.join(lacking[:3])} is not among the "
                "hangar's blobs; import it again"
            )
            continue
        item = Item(
            id=str(one.id),
            kind=one.kind,
            priority=one.priority,
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            files=tuple(File(asset.path, asset.sha256, asset.size) for asset in own),
        )
        found.append((one, item))
    return found, problems


def _is_here(content: Path, asset: Asset) -> bool:
    try:
        return tree.blob_path(content, asset.sha256).stat().st_size == asset.size
    except FileNotFoundError:
        return False
