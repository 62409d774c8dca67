"""The Redis server's settings: the twin of `require.resources.redis`."""

from __future__ import annotations

import json
from typing import Any

from require.remote import file
from require.remote.shell import Failed, run


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at the file, and ask the server that runs.

    Args:
        spec: as of a file, and "names" of settings.

    Returns:
        As of a file; "running": values by name, None when no server answers.

    Raises:
        Failed: the server does not tell.
    """
    try:
        done = run(["redis-cli", "-e", "--json", "config", "get", *spec["names"]])
    except FileNotFoundError:
        return file.probe(spec) | {"running": None}
    if done.code == 0:
        return file.probe(spec) | {"running": json.loads(done.out)}
    words = (done.err or done.out).strip()
    if "Could not connect" in words:
        return file.probe(spec) | {"running": None}
    raise Failed(f"the server does not tell its settings: {words[-500:]}")


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Set what differs in the running server, all or nothing, then keep it for the next start.

    Args:
        spec: as of a file, and "settings".
        state: what `probe` saw just now.

    Raises:
        Refused: as of a file.
        Failed: the server does not take it; in its words.
    """
    running = state["running"]
    if running is not None and (differs := spec["settings"].items() - running.items()):
        words = [word for pair in sorted(differs) for word in pair]
        run(["redis-cli", "-e", "config", "set", *words]).check()
    file.apply(spec, {name: state[name] for name in state if name != "running"})
