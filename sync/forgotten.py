"""What is left of persons whom the hangar has erased: aboard, in quarantine at both ends, in snapshots."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from sync.user_lock import alone

__all__ = ["STREAM", "WITHDRAWN", "erased", "leave_quarantine", "sweep", "withdraw"]

STREAM = "usr"
"""The stream that has persons."""

WITHDRAWN = ""
"""What the books say instead of its schema of a snapshot that may have somebody who was erased since."""


def sweep(engine: Engine) -> None:
    """Remove the tokens and events of the persons whose tombstones came, and what was refused of them.

    An event that the hangar has not acknowledged stays until it has: nothing that waits to be sent is
    removed. The hangar does not keep it either.
    """
    with engine.begin() as connection:
        leave_quarantine(connection)
        for statement in (
            "delete from token t using app_user u where u.id = t.user_id and u.erased",
            "delete from user_event e using app_user u where u.id = e.user_id and u.erased "
            "and not exists (select from sync.dirty d "
            "where d.stream = 'usr' and d.tbl = 'user_event' and d.pk = e.id)",
        ):
            connection.execute(text(statement))


def leave_quarantine(connection: Connection) -> None:
    """Remove what the quarantine holds of erased persons; what they used and answered names no one there.

    The caller holds `alone`, or no row that another waits for: where there is anything, it is taken here.
    """
    of_erased = (
        "exists (select from app_user u where u.erased "
        "and cast(u.id as text) = case tbl when 'app_user' then key else row ->> 'user_id' end)"
    )
    there = text(f"select exists (select from sync.quarantine where {of_erased})")  # noqa: S608
    if not connection.scalar(there):
        return
    alone(connection)
    for statement in (
        "delete from sync.quarantine "  # noqa: S608  # written above
        f"where tbl in ('app_user', 'user_consent', 'user_event') and {of_erased}",
        f"update sync.quarantine set row = row || '{{\"user_id\": null}}' where {of_erased}",  # noqa: S608
    ):
        connection.execute(text(statement))


def erased(connection: Connection) -> int:
    """Return how many accounts are erased; none ever is not any more."""
    return int(connection.execute(text("select count(*) from app_user where erased")).scalar_one())


def withdraw(connection: Connection) -> None:
    """Let no aircraft be offered a snapshot from before now; their sizes stay in the books."""
    connection.execute(
        text("update sync.snapshot set schema_version = :withdrawn where stream = :stream"),
        {"withdrawn": WITHDRAWN, "stream": STREAM},
    )
