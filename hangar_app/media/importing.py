"""The import of one upload: render, store, and then, in one transaction, the item with its assets.

Until that transaction nothing of the import can be seen; after it everything can. What a failed
import leaves is at most blobs that no item names.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from common.schema import Asset, Item
from common.settings import Settings
from common.uuid7 import uuid7
from hangar_app import audit
from hangar_app.media import film, newspaper
from hangar_app.media.job import UPLOAD, Request
from hangar_app.media.rendition import MediaError, Rendition
from sync import publish

RENDERERS: dict[str, Callable[[Path, Path], list[Rendition]]] = {
    "film": film.render,
    "newspaper": newspaper.render,
}


@dataclass(frozen=True)
class Stored:
    """A rendition after it was stored: its SHA-256 and its size in bytes."""

    rendition: Rendition
    sha256: str
    size: int


def render_and_store(request: Request, folder: Path, settings: Settings) -> list[Stored]:
    """Renders the upload in `folder` and stores what comes out.

    Raises:
        MediaError: when the upload cannot become an item, or this disk cannot hold it.
    """
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    upload = folder / UPLOAD
    if not upload.exists():
        raise MediaError("The uploaded file is gone. Bring it again.")
    try:
        made = RENDERERS[request.kind](upload, out)
        return [Stored(one, *publish.store(settings, one.file)) for one in made]
    except OSError as error:
        raise MediaError(
            f"The hangar's disk does not take it: {error.strerror} ({error.filename}). "
            "Make room, then bring the file again."
        ) from error


def write_item(session: Session, request: Request, stored: Sequence[Stored], now: datetime) -> UUID:
    """Writes the item, published, with all its assets; the caller commits.

    Args:
        session: the caller's transaction.
        request: what the editor asked for.
        stored: every file of the item.
        now: time with zone.
    """
    item = Item(
        id=uuid7(),
        kind=request.kind,
        title=request.title,
        summary=request.summary,
        languages=[request.language],
        airlines=request.airlines,
        destinations=request.destinations,
        priority=request.priority,
        valid_from=request.valid_from,
        valid_to=request.valid_to,
        published=True,
        updated_at=now,
    )
    session.add(item)
    session.flush()
    session.add_all(
        Asset(
            item_id=item.id,
            role=one.rendition.role,
            path=one.rendition.path,
            sha256=one.sha256,
            size=one.size,
            mime=one.rendition.mime,
        )
        for one in stored
    )
    what = {"item": str(item.id), "file": request.file_name, "files": len(stored)}
    audit.write(session, request.who, "imported", what, now)
    return item.id
