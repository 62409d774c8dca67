"""Markers of handlers that must still run.

A marker is on the disk before the change that calls for its handler, and is removed after the
handler has run. A run that is cut in between leaves it, and the next run finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from require.remote import private

Handler = dict[str, Any]


def mark(folder: str, handler: Handler, run: str) -> bool:
    """Set a marker; tell whether it was not there before. One of an earlier declaration is renewed.

    Args:
        folder: our private folder of markers.
        handler: with "key", "noun", "spec" and "before".
        run: id of the run that asks for it.
    """
    path = _path(folder, handler["key"])
    found = None
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        found = json.load(file)
    wanted = {**handler, "run": run}
    if found is None or {**found, "run": run} != wanted:
        private.write(path, json.dumps(wanted).encode())
    return found is None


def clear(folder: str, key: str) -> None:
    """Remove a marker."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(folder, key))
        private.sync(folder)


def waiting(folder: str) -> list[Handler]:
    """Return the handlers whose markers are there, by name; the folder need not exist."""
    found = []
    try:
        names = sorted(name for name in os.listdir(folder) if not name.endswith("~"))
    except OSError:
        return []
    for name in names:
        # A look need not wait for the run that clears them.
        with contextlib.suppress(FileNotFoundError), open(f"{folder}/{name}") as file:
            found.append(json.load(file))
    return found


def _path(folder: str, key: str) -> str:
    return f"{folder}/{key.replace('%', '%25').replace('/', '%2f')}"
