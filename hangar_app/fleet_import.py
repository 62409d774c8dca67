"""Brings the inventory's aircraft into the table `aircraft`: `python -m hangar_app.fleet_import`.

The inventory in git says which aircraft exist; converge writes them into the fleet file, and every
switch to a new release reads it. What the hangar observed of an aircraft is left as it is.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.clock import utc_now
from common.database import engine_for
from common.database import session as database_session
from common.schema import Aircraft
from common.settings import Settings, node_name
from hangar_app import campaign_store
from sync.hangar import forget
from sync.publish import publish


class FleetFileError(Exception):
    """The fleet file is not as it should be; the message says where."""


@dataclass(frozen=True)
class Member:
    """An aircraft of the inventory: its tail, its address on the tower, and what content it is sent:
    of its airline, for where it flies to, in the languages that it carries (none: any)."""

    name: str
    tower: str
    airline: str
    destinations: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    fleet: int
    changed: int
    retired: int


def read(file: Path) -> list[Member]:
    """Reads the fleet file: a JSON list of {"name", "tower", "airline", "destinations", "languages"},
    of which the last two may be left out.

    Raises:
        FleetFileError: naming the file and the entry.

    Example:
        >>> read(Path("/etc/turnaround/fleet.json"))
        [Member(name='EC-TAA', tower='10.100.64.11', airline='TA', …), …]
    """
    try:
        entries = json.loads(file.read_text())
    except OSError as error:
        raise FleetFileError(f"{file}: {error.strerror}. Converge the hangar.") from error
    except ValueError as error:
        raise FleetFileError(f"{file}: not JSON: {error}. Converge the hangar.") from error
    if not isinstance(entries, list):
        raise FleetFileError(f"{file}: expected a list of aircraft, found {type(entries).__name__}")
    members = []
    for number, entry in enumerate(entries, 1):
        try:
            members.append(
                Member(
                    node_name(entry["name"]),
                    str(ip_address(entry["tower"])),
                    str(entry["airline"]),
                    _words(entry.get("destinations", [])),
                    _words(entry.get("languages", [])),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FleetFileError(f"{file}: aircraft {number}: {error!r} in {entry!r}") from error
    for what, values in {
        "name": [member.name for member in members],
        "tower address": [member.tower for member in members],
    }.items():
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise FleetFileError(f"{file}: the same {what} twice: {', '.join(sorted(twice))}")
    return members


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise TypeError(f"expected a list of words, found {value!r}")
    return tuple(sorted(set(value)))


def bring_in(session: Session, members: list[Member]) -> Imported:
    """Makes the table what the inventory says; the caller commits.

    An aircraft that is not in the inventory any more is deleted, and what waits for it: its heartbeats
    are refused from then on. Its past (heartbeats, work, usage) stays.
    """
    known = {one.name: one for one in session.scalars(select(Aircraft))}
    wanted = {member.name: member for member in members}
    retired = known.keys() - wanted.keys()
    for name in retired:
        session.delete(known[name])
    changed = [
        member
        for member in members
        if member.name not in known or _as_known(known[member.name]) != member
    ]
    # Two aircraft may have swapped their addresses: each leaves its own before it takes another.
    for member in changed:
        if member.name in known:
            known[member.name].tower = f"{member.name} moves"
    session.flush()
    for member in changed:
        one = known.get(member.name) or Aircraft(name=member.name)
        one.tower, one.airline = member.tower, member.airline
        one.destinations, one.languages = list(member.destinations), list(member.languages)
        session.add(one)
    session.flush()
    return Imported(len(members), len(changed), len(retired))


def _as_known(one: Aircraft) -> Member:
    return Member(one.name, one.tower, one.airline, tuple(one.destinations), tuple(one.languages))


def main() -> int:
    """The command; 0 when the table is as the file says, 65 when the file is wrong."""
    settings = Settings.load()
    try:
        members = read(settings.fleet_file)
    except FleetFileError as error:
        sys.stderr.write(f"hangar_app.fleet_import: {error}\n")
        return 65
    engine = engine_for(settings)
    fleet = {member.name for member in members}
    with database_session(engine) as session:
        gone = [name for name in session.scalars(select(Aircraft.name)) if name not in fleet]
    for name in gone:
        forget(engine, settings, name)
    with database_session(engine) as session:
        done = bring_in(session, members)
    with database_session(engine) as session:
        campaign_store.go_on(session, utc_now())
    # For all of them: one that was cut short here would wait until something is published.
    publish(engine, settings)
    sys.stdout.write(json.dumps(vars(done)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
