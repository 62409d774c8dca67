"""What is shown at this moment: items that are whole, within their time, by the clock of the aircraft."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

from common.clock import utc_now
from common.settings import Settings
from sync import holding, tree
from sync.manifest import Item, Manifest

__all__ = ["Windows", "complete", "show", "valid"]

log = logging.getLogger(__name__)

_NEVER = datetime.max.replace(tzinfo=UTC)
AGAIN = timedelta(minutes=1)


def valid(item: Item, now: datetime) -> bool:
    """Whether it is shown at that time: from `valid_from` on, until just before `valid_to`."""
    return (item.valid_from is None or item.valid_from <= now) and (
        item.valid_to is None or now < item.valid_to
    )


def complete(
    settings: Settings, manifest: Manifest, now: datetime, without: Collection[str] = ()
) -> list[Item]:
    """Return the items to show: whole, within their time, and not among the ids `without`."""
    content = settings.content_dir
    return [
        item
        for item in manifest.items
        if item.files
        and item.id not in without
        and valid(item, now)
        and all(holding.have(content, file) for file in item.files)
    ]


def show(settings: Settings, manifest: Manifest, now: datetime) -> bool:
    """Show what is to be shown at that time; False when it is shown already."""
    with tree.locked(settings.content_dir):
        return tree.switch(settings.content_dir, complete(settings, manifest, now))


class Windows:
    """Shows what begins and hides what ends, when nothing is being synchronised too, as in the air.

    >>> Windows(settings).turn()  # doctest: +SKIP
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._settings, self._clock = settings, clock
        self._looked, self._until = _NEVER, _NEVER
        self._manifest = 0

    def turn(self) -> None:
        """Look whether a window begins or ends; it may be asked every few seconds."""
        now, mark = self._clock(), holding.mark(self._settings)
        # A clock may have been set back.
        if self._looked <= now < self._until and mark == self._manifest:
            return
        self._manifest = mark
        manifest = holding.offered(self._settings)
        self._looked, self._until = now, _NEVER
        if manifest is None:
            return
        try:
            if show(self._settings, manifest, now):
                log.info("content is shown as it is valid at %s", now.isoformat())
        except OSError as error:
            log.error("what is valid now cannot be shown: %s", error)
            # A disk that is full has room again.
            self._until = now + AGAIN
        edges = (edge for item in manifest.items for edge in (item.valid_from, item.valid_to))
        self._until = min([self._until, *(edge for edge in edges if edge and edge > now)])
