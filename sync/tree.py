"""What passengers see: a tree of hard links to complete items, switched in one step.

`versions/<n>/items/<item id>/<path>` are links to blobs; `versions/<n>/items.json` names exactly the
items that are whole. `current` points to one version and is replaced by rename, so a reader sees the
old tree or the new one. A blob that no manifest and no kept version names is removed. Whoever changes
the tree holds `locked` from looking at what is here until it is changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sync import files
from sync.manifest import Item

__all__ = ["blob_path", "blobs", "locked", "remove", "shown", "switch", "tidy"]


def blob_path(content: Path, sha256: str) -> Path:
    """Return where a blob lies.

    >>> blob_path(Path("/c"), "ab" + "0" * 62).parent
    PosixPath('/c/blobs/ab')
    """
    return content / "blobs" / sha256[:2] / sha256


def blobs(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Give what lies in a folder of blobs; nothing when there is no such folder."""
    for below in folder.glob("??"):
        with os.scandir(below) as found:
            yield from found


@contextmanager
def locked(content: Path) -> Iterator[None]:
    """Wait until nobody else changes the tree, and keep them from it."""
    files.make_folder(content)
    descriptor = os.open(content / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def shown(content: Path) -> dict[str, list[str]]:
    """Return the items that are visible now with their paths; empty before the first switch."""
    try:
        found = json.loads((content / "current" / "items.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def switch(content: Path, complete: Iterable[Item]) -> bool:
    """Show exactly these items, whose blobs are all here; False when they are shown already."""
    items = sorted(complete, key=lambda item: item.id)
    wanted = {item.id: {file.path: file.sha256 for file in item.files} for item in items}
    nothing_yet = not wanted and not (content / "current").is_symlink()
    if nothing_yet or _links(content) == wanted:
        return False
    versions = content / "versions"
    building = versions / ".new"
    shutil.rmtree(building, ignore_errors=True)
    files.make_folder(versions)
    (building / "items").mkdir(parents=True)
    for item in items:
        for file in item.files:
            target = building / "items" / item.id / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(blob_path(content, file.sha256), target)
    listed = {item.id: sorted(file.path for file in item.files) for item in items}
    files.write_durably(building / "items.json", json.dumps(listed).encode())
    files.write_durably(building / "links.json", json.dumps(wanted).encode())
    for folder, _, _ in os.walk(building):
        files.fsync(Path(folder))
    number = max((int(path.name) for path in versions.glob("[0-9]*")), default=0) + 1
    files.move(building, versions / str(number))
    pointer = content / ".current.new"
    pointer.unlink(missing_ok=True)
    pointer.symlink_to(Path("versions") / str(number))
    files.move(pointer, content / "current")
    return True


def _links(content: Path) -> object:
    try:
        return json.loads((content / "current" / "links.json").read_bytes())
    except (OSError, ValueError):
        return None


def tidy(content: Path, wanted: set[str], *, former: bool = True) -> None:
    """Remove versions before the last but one, blobs that nothing names, and abandoned staging.

    Arguments: `wanted` are the hashes that are kept, complete or not; `former` whether the version
    before the one that is shown stays for readers that have just opened it.
    """
    current = content / "current"
    shown_now = os.readlink(current).rsplit("/", 1)[-1] if current.is_symlink() else ""
    numbers = sorted(int(path.name) for path in (content / "versions").glob("[0-9]*"))
    others = [str(number) for number in numbers if str(number) != shown_now]
    for name in others[:-1] if former else others:
        shutil.rmtree(content / "versions" / name)
    shutil.rmtree(content / "versions" / ".new", ignore_errors=True)
    for blob in (content / "blobs").glob("??/*"):
        if blob.name not in wanted and blob.lstat().st_nlink == 1:
            blob.unlink()
    for staged in (content / "staging").glob("*"):
        # Taken, and a power cut brought its former name back.
        taken = blob_path(content, staged.name).exists()
        if taken or staged.name not in wanted:
            remove(staged)


def remove(path: Path) -> None:
    """Remove what lies there, file, link or folder; there may be nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
