"""What lies on a host's disk and must not, and what passengers see of it; standard library only.

It is sent to hosts as it is: `python3 left.py SYNC CONTENT` prints in words what is not right.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

_ORPHAN = re.compile(r"\..+\.[A-Za-z0-9]{6}|\..*\.new")


def half(content: Path) -> list[str]:
    """Returns what is not whole of the tree that passengers see now; at any moment there is nothing."""
    current = content / "current"
    if not current.is_symlink():
        return []
    found = []
    try:
        items = json.loads((current / "items.json").read_bytes())
        links = json.loads((current / "links.json").read_bytes())
    except (OSError, ValueError) as error:
        return [f"what is shown cannot be read: {error}"]
    for item, paths in items.items():
        for path in paths:
            file = current / "items" / item / path
            if not file.is_file():
                found.append(f"item {item} is shown without {path}")
            elif hashlib.sha256(file.read_bytes()).hexdigest() != links[item][path]:
                found.append(f"item {item} is shown with a wrong {path}")
    return found


def shown(content: Path) -> list[str]:
    """Returns the items that passengers see, in the order of their keys."""
    try:
        return sorted(json.loads((content / "current" / "items.json").read_bytes()))
    except FileNotFoundError:
        return []


def orphans(sync: Path, content: Path) -> list[str]:
    """Returns what was begun and abandoned."""
    begun = [path for path in sync.rglob("*") if _ORPHAN.fullmatch(path.name)]
    for folder in (sync / "tmp", content / "staging"):
        begun += list(folder.glob("*"))
    begun += list((content / "versions").glob(".new"))
    return [f"{path} is left" for path in begun]


def kept(content: Path) -> list[str]:
    """Returns what an aircraft keeps of its content and needs no more."""
    found = []
    versions = list((content / "versions").glob("[0-9]*"))
    if len(versions) > 2:
        found.append(f"{len(versions)} versions are kept")
    named = {path.stat().st_ino for path in (content / "versions").rglob("*") if path.is_file()}
    for blob in (content / "blobs").glob("??/*"):
        if blob.stat().st_ino not in named:
            found.append(f"blob {blob.name[:12]} is named by nothing")
    return found


def aboard(sync: Path, content: Path) -> list[str]:
    """Returns all that is not right aboard."""
    return half(content) + orphans(sync, content) + kept(content)


if __name__ == "__main__":
    print("\n".join(aboard(Path(sys.argv[1]), Path(sys.argv[2]))))
