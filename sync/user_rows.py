"""Canonical users as the hangar's database holds them: many read at once, many written at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from common.schema import USER_FIELDS
from sync.merge_log import Decision
from sync.user_merge import Edit, Key, merge

__all__ = ["UserRow", "decided", "read", "write"]

_FIELDS = ", ".join(USER_FIELDS)
_TEXTS = ", ".join(f"{name} text" for name in USER_FIELDS)
_SETTING = ", ".join(f"{name} = excluded.{name}" for name in USER_FIELDS)
_READ = text(f"select id, {_FIELDS}, clocks from app_user where id = any(:ids)")  # noqa: S608
_WRITE = text(
    f"insert into app_user as u (id, {_FIELDS}, clocks, version) "  # noqa: S608
    f"select id, {_FIELDS}, clocks, 1 from jsonb_to_recordset(cast(:rows as jsonb)) "
    f"as r(id uuid, {_TEXTS}, clocks jsonb) order by id "
    f"on conflict (id) do update set {_SETTING}, clocks = excluded.clocks, "
    "version = u.version + 1, updated_at = now()"
)


@dataclass(frozen=True)
class UserRow:
    """A user's fields, and the edit that won each of them; without one a field is empty."""

    values: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(USER_FIELDS, ""))
    clocks: Mapping[str, Key] = field(default_factory=dict)

    def after(self, edits: Iterable[Edit]) -> tuple[UserRow, list[tuple[str, Key, Key]]]:
        """Return the row after the edits, and what was decided (`sync.user_merge.merge`)."""
        values, clocks, contested = merge(self.values, self.clocks, edits)
        return UserRow(values, clocks), contested

    def edits(self, fields: Collection[str]) -> list[Edit]:
        """Return the edits that won, as far as they are of `fields`."""
        return [
            Edit(name, self.values[name], key)
            for name, key in self.clocks.items()
            if name in fields
        ]

    def without(self, fields: Collection[str]) -> UserRow:
        """Return the row as if `fields` had never been set."""
        return UserRow(
            {name: "" if name in fields else value for name, value in self.values.items()},
            {name: key for name, key in self.clocks.items() if name not in fields},
        )


def read(connection: Connection, ids: Collection[UUID]) -> dict[UUID, UserRow]:
    """Return the rows of these users; an empty one for who has none yet."""
    rows = {
        row.id: UserRow({name: getattr(row, name) for name in USER_FIELDS}, _clocks(row.clocks))
        for row in connection.execute(_READ, {"ids": list(ids)})
    }
    return {one: rows.get(one, UserRow()) for one in ids}


def _clocks(stored: Mapping[str, Any]) -> dict[str, Key]:
    # An edit that was settled before there were clamps counts as of its own reading.
    return {
        name: (won[0], won[1], won[2] if len(won) > 2 else won[0]) for name, won in stored.items()
    }


def write(connection: Connection, users: Mapping[UUID, UserRow]) -> None:
    """Write the rows of these users, in one statement."""
    rows = [{"id": str(one), **row.values, "clocks": row.clocks} for one, row in users.items()]
    if rows:
        connection.execute(_WRITE, {"rows": json.dumps(rows)})


def decided(user_id: UUID, contested: Iterable[tuple[str, Key, Key]]) -> list[Decision]:
    """Return what the log says of edits that were settled by their clocks."""
    found = []
    for name, winner, loser in contested:
        rule = "aircraft" if winner[0] == loser[0] and winner[1] != loser[1] else "later"
        sides = (f"{aircraft} {reading}" for reading, aircraft, _ in (winner, loser))
        found.append(Decision(user_id, rule, name, *sides))
    return found
