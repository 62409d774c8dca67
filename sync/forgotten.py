"""Aboard: what is left of persons whom the hangar has erased."""

from __future__ import annotations

from sqlalchemy import Engine, text

__all__ = ["sweep"]


def sweep(engine: Engine) -> None:
    """Remove the tokens and events of the persons whose tombstones came.

    An event that the hangar has not acknowledged stays until it has: nothing that waits to be sent is
    removed. The hangar does not keep it either.
    """
    with engine.begin() as connection:
        for statement in (
            "delete from token t using app_user u where u.id = t.user_id and u.erased",
            "delete from user_event e using app_user u where u.id = e.user_id and u.erased "
            "and not exists (select from sync.dirty d "
            "where d.stream = 'usr' and d.tbl = 'user_event' and d.pk = e.id)",
        ):
            connection.execute(text(statement))
