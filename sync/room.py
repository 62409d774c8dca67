"""Room for content: before an item comes there is room for it and a reserve, or it waits.

Only content makes room for content, in this order: what has expired or is in no manifest, then items
of a lower priority than the one that comes, the lowest first. Rows that were not sent lie elsewhere on
the disk and are never touched; the reserve is theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime

from common.settings import Settings
from sync import holding, shown, tree
from sync.manifest import Item, Manifest

__all__ = ["Room", "wanted"]


def wanted(manifest: Manifest, now: datetime, without: Iterable[str] = ()) -> set[str]:
    """Return the hashes that are worth keeping: of all items that have not expired."""
    gone = set(without)
    return {
        file.sha256
        for item in manifest.items
        if item.id not in gone and (item.valid_to is None or now < item.valid_to)
        for file in item.files
    }


def _hashes(item: Item) -> set[str]:
    return {file.sha256 for file in item.files}


class Room:
    """The disk of content while a manifest is followed.

    Args:
        settings: where content is.
        manifest: what is followed.

    `evicted` are the items that had to go.
    """

    def __init__(self, settings: Settings, manifest: Manifest) -> None:
        self._settings, self._manifest = settings, manifest
        self.evicted: list[holding.Waiting] = []
        self._kept: set[str] | None = None

    def lacks(self, need: int) -> int:
        """How many bytes are not there for so many that come; 0 when there is room."""
        free, reserve = holding.reserve(self._settings.content_dir)
        return max(0, need + reserve - free)

    def make(self, need: int, coming: Item, now: datetime) -> bool:
        """Make room for an item's missing bytes; False when that cannot be done.

        Nothing is evicted in vain: when all that may go is not enough, all of it stays.
        """
        if not self.lacks(need):
            return True
        content = self._settings.content_dir
        with tree.locked(content):
            # Once for all that find no room: looking through what is here takes its time.
            if wanted(self._manifest, now) != self._kept:
                self._keep(now, ())
            lacking = self.lacks(need)
            if not lacking:
                return True
            victims = self._victims(coming, now, lacking)
            if victims:
                self._keep(now, [item.id for item in victims])
        why = f"{coming.kind} {coming.id} of priority {coming.priority} needed the room"
        self.evicted += [holding.Waiting(one.id, one.kind, one.size, why) for one in victims]
        return bool(victims)

    def clear(self, now: datetime) -> None:
        """Remove what nobody needs, the version before the one that is shown with it."""
        with tree.locked(self._settings.content_dir):
            tree.tidy(self._settings.content_dir, wanted(self._manifest, now), former=False)

    def _keep(self, now: datetime, evicted: Collection[str]) -> None:
        content = self._settings.content_dir
        # Out of sight first: a cut in between leaves files that nobody is offered.
        tree.switch(content, shown.complete(self._settings, self._manifest, now, evicted))
        self._kept = wanted(self._manifest, now, evicted)
        tree.tidy(content, self._kept, former=False)

    def _victims(self, coming: Item, now: datetime, lacking: int) -> list[Item]:
        """Return what goes for so many bytes to become free; nothing when all that may go is not enough."""
        alive = [one for one in self._manifest.items if one.valid_to is None or now < one.valid_to]
        # How many items each file is still kept for.
        uses = Counter(sha256 for item in alive for sha256 in _hashes(item))
        lower = [item for item in alive if item.priority > coming.priority]
        victims: list[Item] = []
        for item in sorted(lower, key=lambda one: (-one.priority, -one.size, one.id)):
            here = {sha256: self._here(sha256) for sha256 in _hashes(item)}
            if not any(here.values()):
                continue
            victims.append(item)
            uses.subtract(here.keys())
            lacking -= sum(size for sha256, size in here.items() if not uses[sha256])
            if lacking <= 0:
                return victims
        return []

    def _here(self, sha256: str) -> int:
        """How many bytes of a blob are on the disk, checked or not."""
        content = self._settings.content_dir
        for path in (tree.blob_path(content, sha256), content / "staging" / sha256):
            if path.exists():
                return path.stat().st_size
        return 0
