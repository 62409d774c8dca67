"""Which items have all their files aboard: `content/current/links.json`, written by the sync."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

# As a manifest may be, of which this is a part (`sync.manifest`).
LARGEST = 64 * 1024 * 1024

log = logging.getLogger(__name__)

Complete = Mapping[UUID, Mapping[str, str]]
"""The SHA-256 of each file of each complete item, by the item's id and the file's path in it."""


class Library:
    """Reads the list of complete items, again only when `current` moved on.

    A missing or damaged list means that nothing is complete: an offer whose files are not here
    would be a broken promise, an empty page is only an empty page.
    """

    def __init__(self, content_dir: Path) -> None:
        self._current = content_dir / "current"
        self._read: tuple[tuple[Path, int], Complete] | None = None

    def complete(self) -> Complete:
        """The complete items and their files."""
        path = self._current / "links.json"
        try:
            mark = (path.resolve(), path.stat().st_mtime_ns)
        except OSError:
            return {}
        if self._read is None or self._read[0] != mark:
            self._read = (mark, self._parse(mark[0]))
        return self._read[1]

    @property
    def version(self) -> str:
        """The name of the content version in force, "" when there is none."""
        return self._current.resolve().name if self._current.exists() else ""

    @staticmethod
    def _parse(path: Path) -> Complete:
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST} bytes")
            return {
                UUID(item): {str(path): str(sha256) for path, sha256 in files.items()}
                for item, files in json.loads(path.read_text(encoding="utf-8")).items()
            }
        except (OSError, ValueError, AttributeError, TypeError) as error:
            log.error("%s cannot be read, so no content is shown: %s", path, error)
            return {}
