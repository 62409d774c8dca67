"""Settling users at the hangar: edits made aboard are folded into the canonical user, per field.

An edit counts as of its reading of the hybrid clock, or as of when its change-set was received if that
is earlier. It is decided once and kept with the edit (`user_clamp`), so it depends on the edit and its
own change-set alone. The edit that wins a field is the greatest of all that came, by `user_merge.Key`. A
maximum does not depend on the order in which aircraft land, and folding an edit again changes nothing.
And a wrong clock never wins for ever: an edit made after its edit was received is the later one.

How far off an aircraft's clock is at a heartbeat is not used: it is set right on landing, within the same
boot, so what a heartbeat shows says nothing about the flight before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from itertools import groupby, islice
from uuid import UUID

from sqlalchemy import Connection, text

from common import hlc
from common.schema import SHARED_FIELDS, USER_FIELDS
from sync import merge_log, persons, user_rows
from sync.load import Fold
from sync.merge_log import Decision
from sync.user_lock import alone
from sync.user_merge import Edit

__all__ = ["fold", "folds"]

_AT_ONCE = 1000  # users; the memory does not grow with the change-set


def folds(clock: Callable[[], datetime]) -> dict[str, Fold]:
    """Return what `sync.apply` calls at the hangar for each table that speaks of users."""
    settling: dict[str, Fold] = {
        name: partial(persons.settle, table=name) for name in persons.SPEAKING
    }
    return {"user_event": partial(fold, clock=clock), **settling}


def fold(connection: Connection, incoming: str, clock: Callable[[], datetime]) -> None:
    """Settle the events in the table `incoming` (columns of `user_event`), which are stored already.

    It runs in the transaction that applies them, and no two run at once. Arguments: `clock` says when
    they were received.
    """
    now = clock()
    alone(connection)
    # Also with an account that is erased, or it would matter which of the two came first.
    persons.join_all(connection, incoming, now)
    persons.drop_erased(connection, incoming, now)
    _clamp(connection, incoming, now)
    persons.erase_all(connection, incoming, now)
    persons.add_consents(connection, incoming)
    edits = _edits(connection, incoming)
    while of_users := dict(islice(edits, _AT_ONCE)):
        _fold_users(connection, of_users, now)


def _clamp(connection: Connection, incoming: str, now: datetime) -> None:
    latest = hlc.last_of(now)
    ahead = connection.execute(
        text(
            "with ahead as (insert into user_clamp (id, reading) "  # noqa: S608
            f"select e.id, :latest from user_event e join {incoming} i on i.id = e.id "
            "where e.hlc > :latest and e.field = any(:fields) on conflict do nothing returning id) "
            "select e.user_id, e.field, e.aircraft, e.hlc from user_event e join ahead using (id)"
        ),
        {"latest": latest, "fields": list(USER_FIELDS)},
    )
    decisions = [
        Decision(
            row.user_id, "clamped", row.field, f"received {latest}", f"{row.aircraft} {row.hlc}"
        )
        for row in ahead
    ]
    merge_log.write(connection, decisions, now)


def _edits(connection: Connection, incoming: str) -> Iterator[tuple[UUID, list[Edit]]]:
    """Give each account that edits came for, and them; a secret stays with its own account."""
    rows = connection.execute(
        text(
            "select case when e.field = any(:shared) then coalesce(a.canonical, e.user_id) "  # noqa: S608
            "else e.user_id end as account, e.field, e.value #>> '{}' as value, "
            "coalesce(c.reading, e.hlc) as reading, e.aircraft, e.hlc "
            f"from user_event e join {incoming} i on i.id = e.id "
            "left join user_alias a on a.id = e.user_id left join user_clamp c on c.id = e.id "
            "where e.field = any(:fields) order by account"
        ),
        {"shared": list(SHARED_FIELDS), "fields": list(USER_FIELDS)},
        execution_options={"stream_results": True},
    )
    for account, events in groupby(rows, key=lambda row: row.account):
        edits = [Edit(e.field, e.value, (e.reading, e.aircraft, e.hlc)) for e in events]
        yield account, edits


def _fold_users(connection: Connection, edits: Mapping[UUID, list[Edit]], now: datetime) -> None:
    before = user_rows.read(connection, edits.keys())
    changed, decisions = {}, []
    for user_id, row in before.items():
        after, contested = row.after(edits[user_id])
        decisions += user_rows.decided(user_id, contested)
        if after != row:
            changed[user_id] = after
    user_rows.write(connection, changed)
    moved = [
        one for one, row in changed.items() if row.values["email"] != before[one].values["email"]
    ]
    merge_log.write(connection, [*decisions, *persons.apart(connection, moved)], now)
