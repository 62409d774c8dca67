"""The lock of those who settle users or change what the quarantine holds; it is taken before any row.

Whoever erases a person has it, and then removes what the quarantine holds of them. They would wait for each
other with one who held such a row and waited for the lock, or who locked several in another order. The same
holds for rows that speak of a person: one that is here gets the columns that came for it later.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from common.schema import UserEvent
from sync.capture import spec

__all__ = ["alone", "before_rows_of"]


def alone(connection: Connection, *, shared: bool = False) -> None:
    """Wait until no one else settles users; `shared` lets others in who only ask who is who.

    It lasts until the transaction ends. A transaction takes it one way only: two that had shared it, and
    then wished to be alone, would wait for each other.
    """
    kind = "_shared" if shared else ""
    connection.execute(
        text(f"select pg_advisory_xact_lock{kind}(hashtextextended('turnaround users', 0))")
    )


def before_rows_of(connection: Connection, stream: str) -> None:
    """Take it the way that those do who settle what a stream brings."""
    alone(connection, shared=stream != spec(UserEvent).stream)
