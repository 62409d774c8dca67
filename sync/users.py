"""Settling users at the hangar: edits made aboard are folded into the canonical user, per field.

An edit wins its field when its (clock reading, aircraft) is the greatest seen so far. So the order
in which aircraft land does not matter, and folding an edit again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from common.schema import USER_FIELDS

__all__ = ["Edit", "fold", "merge"]

Clocks = Mapping[str, tuple[int, str]]

_FIELDS = ", ".join(USER_FIELDS)
_SETTING = ", ".join(f"{name} = :{name}" for name in USER_FIELDS)
_SELECT = text(f"select {_FIELDS}, clocks from app_user where id = :id for update")  # noqa: S608
_UPDATE = text(
    f"update app_user set {_SETTING}, clocks = :clocks, version = version + 1, "  # noqa: S608
    "updated_at = now() where id = :id"
).bindparams(bindparam("clocks", type_=JSONB))


@dataclass(frozen=True)
class Edit:
    """One user's `field` was set to `value` at the reading `hlc` aboard `aircraft`."""

    field: str
    value: str
    hlc: int
    aircraft: str


def merge(
    values: Mapping[str, str], clocks: Clocks, edits: Iterable[Edit]
) -> tuple[dict[str, str], dict[str, tuple[int, str]]]:
    """Return a user's fields and their clocks after the edits, which may come in any order.

    >>> merge({"name": "Ada"}, {"name": (5, "EC-TAA")}, [Edit("name", "Countess", 6, "EC-TAB")])
    ({'name': 'Countess'}, {'name': (6, 'EC-TAB')})
    """
    merged, won = dict(values), dict(clocks)
    for edit in edits:
        if (edit.hlc, edit.aircraft) > won.get(edit.field, (-1, "")):
            merged[edit.field] = edit.value
            won[edit.field] = (edit.hlc, edit.aircraft)
    return merged, won


def fold(connection: Connection, incoming: str) -> None:
    """Fold the edits in the table `incoming` (columns of `user_event`) into `app_user`.

    It runs in the transaction that applies them; users it touches are locked until its end.
    """
    rows = connection.execute(
        text(
            "select user_id, field, value #>> '{}' as value, hlc, aircraft "  # noqa: S608
            f"from {incoming} order by user_id, hlc, aircraft, id"
        )
    )
    edits: dict[UUID, list[Edit]] = {}
    for row in rows:
        edits.setdefault(row.user_id, []).append(Edit(row.field, row.value, row.hlc, row.aircraft))
    # In the order of their keys, so that two aircraft's edits never wait for each other in a ring.
    for user_id, of_user in sorted(edits.items()):
        _fold_user(connection, user_id, of_user)


def _fold_user(connection: Connection, user_id: UUID, edits: list[Edit]) -> None:
    key: dict[str, Any] = {"id": user_id}
    connection.execute(text("insert into app_user (id) values (:id) on conflict do nothing"), key)
    user = connection.execute(_SELECT, key).one()
    before = {name: getattr(user, name) for name in USER_FIELDS}
    clocks = {name: (int(won[0]), str(won[1])) for name, won in user.clocks.items()}
    values, won = merge(before, clocks, edits)
    if won == clocks:
        return
    connection.execute(
        _UPDATE, key | values | {"clocks": {name: list(pair) for name, pair in won.items()}}
    )
