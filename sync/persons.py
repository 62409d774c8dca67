"""Persons at the hangar: accounts that are one person's, and persons who are to be forgotten.

Accounts are joined only when one password has opened both aboard (`common.users`): nobody has shown that
an address is theirs, so whoever registers another's address has an account of their own and stays in it.
The canonical account of a person is the one with the lowest id. An id is a UUIDv7: that is the one with
the first reading of a clock, whatever lands later. Passwords are never joined: each account keeps its
own, and with it the tokens that were issued for it, until the password is changed.

A row that speaks of a user is rewritten when it is applied and when accounts are joined, so nobody who
counts or bills needs to know of aliases, and nothing names a person who is erased.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from common.schema import SHARED_FIELDS, UserEvent, travelling
from sync import forgotten, merge_log, user_rows
from sync.merge_log import Decision
from sync.user_lock import alone

__all__ = [
    "SPEAKING",
    "add_consents",
    "apart",
    "drop_erased",
    "erase_all",
    "join_all",
    "order_erasure",
    "settle",
]

SPEAKING = tuple(
    model.__tablename__
    for model in travelling("up")
    if model is not UserEvent and "user_id" in model.__table__.columns
)
"""The tables that come up and name a user beside the events themselves."""

_BLANK = "email = '', name = '', language = '', password_hash = '', clocks = '{}'"


def settle(connection: Connection, incoming: str, *, table: str) -> None:
    """Rewrite whom the rows of `table` that came in `incoming` speak of: the canonical one, or no one."""
    alone(connection, shared=True)
    connection.execute(
        text(
            # Whom the row that is here names: what came under the key of another's does not change that.
            f"update {table} t set user_id = settled.user_id from ("  # noqa: S608
            "select own.id, case when u.id is null then a.canonical end as user_id "
            f"from {table} own join {incoming} i on i.id = own.id "
            "left join user_alias a on a.id = own.user_id "
            "left join app_user u on u.id = own.user_id and u.erased "
            "where a.id is not null or u.id is not null) settled where t.id = settled.id"
        )
    )


def join_all(connection: Connection, incoming: str, now: datetime) -> None:
    """Join the accounts that the events in `incoming` say are one person's."""
    pairs = connection.execute(
        text(
            "select distinct e.user_id, cast(e.value #>> '{}' as uuid) as other "  # noqa: S608
            f"from user_event e join {incoming} i on i.id = e.id where e.field = 'same' order by 1, 2"
        )
    ).all()
    for pair in pairs:
        one, other = (_accounts(connection, account)[0] for account in pair)
        if one != other:
            _join(connection, min(one, other), max(one, other), now)


def _accounts(connection: Connection, account: UUID) -> list[UUID]:
    """Return all accounts of a person, the canonical one first."""
    canonical = connection.scalar(
        text("select canonical from user_alias where id = :id"), {"id": account}
    )
    first = canonical or account
    others = connection.scalars(
        text("select id from user_alias where canonical = :id order by id"), {"id": first}
    )
    return [first, *others]


def _join(connection: Connection, first: UUID, other: UUID, now: datetime) -> None:
    key = {"first": first, "other": other}
    for statement in (
        "update user_alias set canonical = :first where canonical = :other",
        "insert into user_alias (id, canonical) values (:other, :first)",
        "update user_consent set user_id = :first where user_id = :other",
        *(f"update {table} set user_id = :first where user_id = :other" for table in SPEAKING),  # noqa: S608
    ):
        connection.execute(text(statement), key)
    same = Decision(first, "same", "", str(first), str(other))
    gone = connection.scalar(
        text("select bool_or(erased) from app_user where id in (:first, :other)"), key
    )
    if gone:
        merge_log.write(connection, [same], now)
        erase(connection, first, now)
        return
    rows = user_rows.read(connection, [first, other])
    joined, contested = rows[first].after(rows[other].edits(SHARED_FIELDS))
    user_rows.write(connection, {first: joined, other: rows[other].without(SHARED_FIELDS)})
    merge_log.write(connection, [same, *user_rows.decided(first, contested)], now)


def apart(connection: Connection, users: Collection[UUID]) -> list[Decision]:
    """Return which of these users have an address that another account has, too.

    They stay apart. The address is the older one's for whoever writes to it.
    """
    if not users:
        return []
    pairs = connection.execute(
        text(
            "select u.id, o.id as other from app_user u join app_user o "
            "on lower(o.email) = lower(u.email) and o.id <> u.id "
            "where u.id = any(:ids) and u.email <> ''"
        ),
        {"ids": list(users)},
    )
    # Of two who moved at once each finds the other.
    both = dict.fromkeys((min(pair), max(pair)) for pair in pairs)
    return [Decision(new, "apart", "email", str(old), str(new)) for old, new in both]


def add_consents(connection: Connection, incoming: str) -> None:
    """Add the consents and withdrawals in `incoming` to those of their persons."""
    connection.execute(
        text(
            "insert into user_consent (id, user_id, purpose, given, after) "  # noqa: S608
            "select e.id, coalesce(a.canonical, e.user_id), e.value ->> 'purpose', "
            "cast(e.value ->> 'given' as boolean), "
            "array(select jsonb_array_elements_text(e.value -> 'after')) "
            f"from user_event e join {incoming} i on i.id = e.id "
            "left join user_alias a on a.id = e.user_id "
            "where e.field = 'consent' on conflict do nothing"
        )
    )


def drop_erased(connection: Connection, incoming: str, now: datetime) -> None:
    """Remove the events in `incoming` of persons who are erased: they count no more, and are not kept."""
    dropped = connection.execute(
        text(
            "with gone as (delete from user_event e using app_user u "  # noqa: S608
            f"where u.id = e.user_id and u.erased and e.id in (select id from {incoming}) "
            "returning e.user_id, e.aircraft) "
            "select user_id, aircraft, count(*) as events from gone group by 1, 2"
        )
    )
    decisions = [
        Decision(row.user_id, "erased", "", "erase", f"{row.events} events of {row.aircraft}")
        for row in dropped
    ]
    merge_log.write(connection, decisions, now)


def erase_all(connection: Connection, incoming: str, now: datetime) -> None:
    """Erase the persons who asked for it in `incoming`."""
    wishes = connection.scalars(
        text(
            "select distinct e.user_id from user_event e "  # noqa: S608
            f"join {incoming} i on i.id = e.id where e.field = 'erase' order by 1"
        )
    ).all()
    for user_id in wishes:
        erase(connection, user_id, now)


def order_erasure(connection: Connection, user_id: UUID, now: datetime) -> None:
    """Erase a person as the hangar's staff wish; the caller commits."""
    alone(connection)
    connection.execute(text("set local sync.applying = 'on'"))
    erase(connection, user_id, now)
    connection.execute(text("set local sync.applying = 'off'"))


def erase(connection: Connection, user_id: UUID, now: datetime) -> None:
    """Forget a person with all accounts; the rows stay as tombstones, so that it lasts.

    What was used, answered and paid stays, and names no one. The caller holds `alone`, and may write to
    what travels up (`sync.applying`).
    """
    accounts = _accounts(connection, user_id)
    for statement in (
        "insert into app_user (id) select unnest(cast(:ids as uuid[])) on conflict do nothing",
        f"update app_user set {_BLANK}, erased = true, version = version + 1, updated_at = now() "  # noqa: S608
        "where id = any(:ids) and not erased",
        "delete from user_clamp where id in (select id from user_event where user_id = any(:ids))",
        "delete from user_event where user_id = any(:ids)",
        "delete from user_consent where user_id = any(:ids)",
        *(f"update {table} set user_id = null where user_id = any(:ids)" for table in SPEAKING),  # noqa: S608
    ):
        connection.execute(text(statement), {"ids": accounts})
    forgotten.leave_quarantine(connection)
    forgotten.withdraw(connection)
    merge_log.write(connection, [Decision(accounts[0], "erased", "", "erase", "")], now)
