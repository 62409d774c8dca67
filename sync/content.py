"""Content files aboard: fetched in the order of their urgency, checked, shown when complete.

The invariant: an item is visible only while all its files are here with the right hashes, and the
step from one set of items to the next is one rename. Files are known by their SHA-256, so a file
that is here already is never sent again, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from common.clock import utc_now
from common.settings import Settings
from sync import files, tree
from sync.manifest import BadManifest, File, Manifest, load, plan
from sync.rsync import Link, Moved

__all__ = ["Received", "local_state", "offered", "receive"]


@dataclass
class Received:
    """What a session fetched: files and bytes on the link, and in words what is not right."""

    version: str = ""
    files: int = 0
    moved: Moved = field(default_factory=Moved)
    switches: int = 0
    problems: list[str] = field(default_factory=list)


def _offered_path(settings: Settings) -> Path:
    return files.inbox(settings, files.HANGAR).parent / "content" / "manifest.json"


def offered(settings: Settings) -> Manifest | None:
    """Return the manifest that came last, None before the first; raises `BadManifest`."""
    try:
        return load(_offered_path(settings).read_bytes())
    except FileNotFoundError:
        return None


def receive(
    settings: Settings,
    link: Link,
    progress: Callable[[str], None],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Received:
    """Fetch what the offered manifest names and is not here, group by group, and show it.

    It may be killed anywhere; the next call sends only what is missing. Raises what `Link` raises.

    >>> receive(settings, link, print)  # doctest: +SKIP
    newspaper 0199…: 2 files, 3.1 MB
    Received(version='5f0c…', files=2, …)
    """
    received = Received()
    try:
        manifest = offered(settings)
    except BadManifest as error:
        received.problems.append(f"{error}. The next synchronisation brings it again")
        _offered_path(settings).unlink(missing_ok=True)
        return received
    if manifest is None:
        return received
    content = settings.content_dir
    received.version = manifest.version
    received.switches += _show(content, manifest, clock())
    for items, missing in plan(manifest, lambda file: _have(content, file), clock()):
        names = ", ".join(sorted({item.kind for item in items}))
        size = sum(file.size for file in missing)
        progress(f"{names}: {len(missing)} files, {size / 1e6:.1f} MB")
        moved = link.fetch((file.sha256 for file in missing), content / "staging")
        received.moved += moved
        for file in missing:
            problem = _take(content, file, moved.problem)
            if problem:
                received.problems.append(problem)
            else:
                received.files += 1
        # After each group: the newspaper is there to read before the film has come.
        received.switches += _show(content, manifest, clock())
    tree.tidy(content, {file.sha256 for item in manifest.items for file in item.files})
    return received


def _have(content: Path, file: File) -> bool:
    try:
        return tree.blob_path(content, file.sha256).stat().st_size == file.size
    except FileNotFoundError:
        return False


def _take(content: Path, file: File, unmoved: str) -> str | None:
    """Move a staged file among the blobs when it is what it should be; else say what is wrong.

    Arguments: `unmoved` is why some file of the group did not come over, '' when all should be here.
    """
    staged = content / "staging" / file.sha256
    found = files.sha256_of(staged)
    if found is None:
        why = unmoved or "The hangar offers it and does not have it: publish it anew"
        return f"{file.path}: {file.sha256} did not come. {why}"
    if found != file.sha256:
        staged.unlink()
        return (
            f"{file.path}: expected sha256 {file.sha256}, found {found}. It was removed; the next "
            "synchronisation fetches it again"
        )
    staged.chmod(0o644)
    files.fsync(staged)
    files.move(staged, tree.blob_path(content, file.sha256))
    return None


def _show(content: Path, manifest: Manifest, now: datetime) -> bool:
    complete = [
        item
        for item in manifest.items
        if item.files
        and (item.valid_to is None or item.valid_to > now)
        and all(_have(content, file) for file in item.files)
    ]
    return tree.switch(content, complete)


def local_state(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> dict[str, Any]:
    """Return the heartbeat's `content`: the offered version and what is missing of it.

    Arguments: sizes are bytes; `version` is '' before the first manifest, or when it is unreadable.
    """
    try:
        manifest = offered(settings)
    except BadManifest:
        manifest = None
    if manifest is None:
        return {"version": "", "missing_files": 0, "missing_bytes": 0}
    groups = plan(manifest, lambda file: _have(settings.content_dir, file), clock())
    missing = [file for _, group in groups for file in group]
    return {
        "version": manifest.version,
        "missing_files": len(missing),
        "missing_bytes": sum(file.size for file in missing),
    }
