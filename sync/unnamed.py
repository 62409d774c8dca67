"""What of the hangar's content nothing names any more, and what imports left that were cut: removed.

A blob is named by a row of `asset`, published or not, by a manifest that is issued, or by an aircraft that
has a link to it. Where none does it stays until a week after its file was changed last, because an import
stores its blobs before it writes the rows that name them. To get or lose a link is a change: what was
offered is here for another week, should the database be put back that names it. An import that stores a
blob which is here already makes it a new file; it waits for that while blobs are looked at and removed.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from sync import tree
from sync.stock import Stock

__all__ = ["remove"]

log = logging.getLogger(__name__)

KEPT = timedelta(days=7)
# What is still being stored changes all the time.
CUT = timedelta(days=1)


def remove(engine: Engine, stock: Stock, now: datetime) -> list[str]:
    """Remove what has not been named for long, and return in words why nothing is removed.

    Nobody issues a manifest meanwhile: the caller sees to that. What has come since the stock was looked
    at is left alone.
    """
    named: set[str] = set()
    for path in (stock.content / "manifests").glob("*.json"):
        if path.name.endswith(".head.json"):
            continue
        manifest = stock.named(path)
        if manifest is None:
            return [f"no blob is removed: {path} cannot be read, which may name it"]
        named |= manifest.hashes
    others = stock.blobs.keys() - named
    with engine.connect() as connection:
        others -= set(connection.scalars(text("select distinct sha256 from asset")))
    gone = 0
    with tree.locked(stock.content):
        for sha256 in others:
            blob = tree.blob_path(stock.content, sha256)
            if _is_old(blob, now, KEPT) and blob.stat().st_nlink == 1:
                blob.unlink()
                gone += 1
    for left in (stock.content / "staging").glob("*"):
        if _is_old(left, now, CUT):
            tree.remove(left)
    if gone:
        log.info("%d blobs that nothing named any more are removed", gone)
    return []


def _is_old(path: Path, now: datetime, kept: timedelta) -> bool:
    """Whether a file was not changed for so long; one that went meanwhile is not."""
    try:
        changed = path.stat().st_ctime
    except FileNotFoundError:
        return False
    return now.timestamp() - changed > kept.total_seconds()
