"""The first trip: look at everything at once and say what was seen."""

from __future__ import annotations

from typing import Any

from require.remote import journal, lock, pending, probing, wire


def main(request: dict[str, Any], out: Any) -> None:
    """Answer one request to look.

    Args:
        request: "state_dir", "resources" (questions), "total_s".
        out: binary file for the frames.
    """
    out.write(wire.MAGIC + wire.frame(b"R", seen(request)))
    out.flush()


def seen(request: dict[str, Any]) -> dict[str, Any]:
    """Look, and return what was seen."""
    runs = f"{request['state_dir']}/runs"
    return {
        "answers": probing.look(request["resources"], request["total_s"]),
        "pending": [
            handler["key"] for handler in pending.waiting(f"{request['state_dir']}/pending")
        ],
        "last_run": journal.last(runs),
        "lock": lock.holder(runs),
    }
