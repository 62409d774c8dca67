"""Accounts of the staff, from the hangar's own shell: `python -m hangar_app.staff add EMAIL`.

The password comes on standard input, so that it stands in no list of processes.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from common.clock import utc_now
from common.database import engine_for
from common.database import session as database_session
from common.schema import Staff
from common.settings import Settings
from hangar_app import audit

SHORTEST = 10


def add(session: Session, email: str, password: str, now: datetime) -> bool:
    """Makes an account, or gives an existing one a new password; True when it is new.

    Args:
        session: the caller's transaction.
        email: the address to sign in with.
        password: in the clear; only its hash is kept.
        now: time with zone.

    Raises:
        ValueError: when the address is none, or the password is shorter than ten characters.
    """
    email = email.strip().lower()
    if "@" not in email.strip("@"):
        raise ValueError(f"{email!r} is not an e-mail address")
    if len(password) < SHORTEST:
        raise ValueError(f"the password has {len(password)} characters; {SHORTEST} are the fewest")
    hashed = generate_password_hash(password)
    known = session.scalar(select(Staff).where(Staff.email == email))
    if known is None:
        session.add(Staff(email=email, password_hash=hashed, created_at=now))
    else:
        known.password_hash = hashed
    what = "was given an account" if known is None else "was given a new password"
    audit.write(session, email, what, {}, now)
    return known is None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when the account is there, 64 when it was asked for in a wrong way."""
    parser = argparse.ArgumentParser(prog="python -m hangar_app.staff", description=__doc__)
    parser.add_argument("what", choices=["add"])
    parser.add_argument("email")
    asked = parser.parse_args(arguments)
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password for {asked.email}: ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        with database_session(engine_for(Settings.load())) as session:
            new = add(session, asked.email, password, utc_now())
    except ValueError as error:
        sys.stderr.write(f"hangar_app.staff: {error}\n")
        return 64
    said = "has an account" if new else "has a new password"
    sys.stdout.write(f"{asked.email} {said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
