"""The schema's history, as Alembic migrations shipped with the code (`common.migrate` runs them).

A migration only expands: what the running release reads stays where it is. Nothing here imports the
models, because a migration describes the past and the models the present.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["SHIPPED", "newest"]

# The schemas that releases were shipped with, oldest first; one is added when it is shipped. A release may
# bring several migrations, and they count as one: an aircraft that is one release behind is not far behind.
SHIPPED = ("0001", "0002", "0003", "0004")


def newest() -> str:
    """Return the newest migration's number without loading Alembic, which costs a process 8 MB.

    >>> len(newest())
    4
    """
    return max(path.name[:4] for path in (Path(__file__).parent / "versions").glob("[0-9]*_*.py"))
