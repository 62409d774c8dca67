"""In which order content is fetched, and what goes together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from sync.manifest import File, Item, Manifest

__all__ = ["plan"]

# Small items share one run of rsync; a large one has its own, so that it can be overtaken.
GROUP_BYTES = 8 * 2**20


def plan(
    manifest: Manifest, have: Callable[[File], bool], now: datetime
) -> list[tuple[tuple[Item, ...], tuple[File, ...]]]:
    """Return what to fetch: groups of items, each with the files that are missing, first group first.

    Items go by (priority, expiry, size): today's newspaper overtakes a film. One that has expired is
    not fetched, one that begins later is; one whose files are all here is in no group. A file that
    several items share is fetched once.
    """
    asked: set[str] = set()
    groups: list[tuple[list[Item], list[File]]] = []
    room = 0
    for item in _in_order(manifest.items, now):
        missing = [
            file for file in _once(item.files) if file.sha256 not in asked and not have(file)
        ]
        if not missing:
            continue
        asked |= {file.sha256 for file in missing}
        size = sum(file.size for file in missing)
        # What is more urgent never waits for the rest of a group.
        if not groups or size > room or groups[-1][0][0].priority != item.priority:
            groups.append(([], []))
            room = GROUP_BYTES
        groups[-1][0].append(item)
        groups[-1][1].extend(missing)
        room -= size
    return [(tuple(items), tuple(files)) for items, files in groups]


def _in_order(items: Iterable[Item], now: datetime) -> list[Item]:
    wanted = [item for item in items if item.valid_to is None or item.valid_to > now]
    return sorted(wanted, key=lambda one: (one.urgency, one.size, one.id))


def _once(files: Iterable[File]) -> list[File]:
    return list({file.sha256: file for file in files}.values())
