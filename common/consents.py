"""Consent: statements that are only added; a withdrawal beats every consent that did not know of it.

A consent names the withdrawals that were known where it was given, so no clock is asked, and whoever
lands first, the same holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from common import users
from common.schema import CONSENTS

__all__ = ["Statement", "held", "holds", "state"]


@dataclass(frozen=True)
class Statement:
    """One consent, given after the withdrawals `after` (their ids), or one withdrawal.

    `ours`: it was made on this host, and the hangar has not settled it.
    """

    id: str
    given: bool
    after: frozenset[str] = frozenset()
    ours: bool = False


def holds(statements: Iterable[Statement]) -> bool:
    """Say whether consent is given, whatever the order and repetition of the statements.

    >>> holds([Statement("1", True), Statement("2", False)])
    False
    >>> holds([Statement("1", True), Statement("2", False), Statement("3", True, frozenset("2"))])
    True
    """
    every = set(statements)
    withdrawn = {one.id for one in every if not one.given}
    return any(one.given and withdrawn <= one.after for one in every)


# What the hangar has settled, and what was said here since.
_STATEMENTS = text(
    "select purpose, id, given, after, false as ours from user_consent "
    "where user_id = any(:accounts) "
    "union all select e.value ->> 'purpose', e.id, (e.value ->> 'given')::boolean, "
    "array(select jsonb_array_elements_text(e.value -> 'after')), true from user_event e "
    "where e.field = 'consent' and e.user_id = any(:accounts) "
    "and not exists (select from user_consent settled where settled.id = e.id)"
)


def _said(session: Session, user_id: UUID) -> dict[str, list[Statement]]:
    said: dict[str, list[Statement]] = {purpose: [] for purpose in CONSENTS}
    for row in session.execute(_STATEMENTS, {"accounts": users.accounts(session, user_id)}):
        statement = Statement(str(row.id), row.given, frozenset(row.after), row.ours)
        said.setdefault(row.purpose, []).append(statement)
    return said


def held(session: Session, user_id: UUID) -> dict[str, bool]:
    """Return what a user consents to, as this host knows it.

    >>> held(session, user_id)  # doctest: +SKIP
    {'offers': True}
    """
    return {purpose: holds(said) for purpose, said in _said(session, user_id).items()}


def state(
    session: Session,
    user_id: UUID,
    purpose: str,
    given: bool,
    aircraft: str,
    clock: Callable[[], datetime],
) -> None:
    """Give or withdraw a consent; what was said already is not said again.

    A withdrawal is, once: a consent may have been given elsewhere since.

    Raises `ValueError` for a purpose that nobody asks for.
    """
    if purpose not in CONSENTS:
        raise ValueError(f"nobody asks for a consent to {purpose}; {CONSENTS} are")
    users.lock(session, user_id)
    said = _said(session, user_id)[purpose]
    known = given or any(one.ours and not one.given for one in said)
    if holds(said) == given and known:
        return
    withdrawn = sorted(one.id for one in said if not one.given)
    value = {"purpose": purpose, "given": given, "after": withdrawn if given else []}
    users.say(session, users.accounts(session, user_id)[0], "consent", value, aircraft, clock())
    session.flush()
