"""A whole landing without a network: heartbeat and its answer, a synchronisation, what came taken in."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from sync import ack, files, session, state
from sync import hangar as hangar_side
from sync.rsync import Link, Moved
from tests.sync.ends import End, scalar

__all__ = ["Landing", "Saved", "beat", "copying", "history", "land", "settled"]


@dataclass(frozen=True)
class _Copying(Link):
    """A link that copies, as rsync runs that complete do, but without a process."""

    inbox: Path = Path()
    outbox: Path = Path()

    def open(self) -> None:
        """There is none to make."""

    def push(self, folder: Path) -> Moved:
        shutil.copytree(folder, self.inbox, dirs_exist_ok=True)
        return Moved()

    def pull(self, folder: Path) -> Moved:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.outbox, folder)
        return Moved(received=sum(path.stat().st_size for path in folder.rglob("*.cs")))

    def close(self) -> None:
        """Nothing is open."""


def copying(hangar: End, aircraft: str) -> Link:
    """Return a link of an aircraft to its hangar that copies."""
    outbox = hangar.settings.sync_dir / "outbox" / aircraft
    outbox.mkdir(parents=True, exist_ok=True)
    return _Copying("hangar", (), inbox=files.inbox(hangar.settings, aircraft), outbox=outbox)


@dataclass
class Landing:
    """What a landing came to: the hangar's answer, and what either end found wrong."""

    answer: state.Due
    acks: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    received: int = 0


def beat(aircraft: End, hangar: End) -> Landing:
    """One heartbeat and what the aircraft does with the answer."""
    name = aircraft.settings.node
    body = json.loads(json.dumps(state.local_state(aircraft.engine, aircraft.settings)))
    with hangar.engine.begin() as connection:
        connection.execute(
            text("update aircraft set last_body = cast(:body as jsonb) where name = :name"),
            {"body": json.dumps(body), "name": name},
        )
    due = state.due(hangar.engine, hangar.settings, name, body)
    acks: dict[str, Any] = {**state.acks(hangar.engine, name)}
    problems = ack.accept(aircraft.engine, aircraft.settings, acks)
    ack.heal(aircraft.engine, aircraft.settings, body["up"], due.wants, due.former)
    return Landing(due, acks, problems)


def land(aircraft: End, hangar: End) -> Landing:
    """One landing; what the aircraft has then been told is in its next heartbeat."""
    landing = beat(aircraft, hangar)
    hangar_side.refresh(hangar.engine, hangar.settings)
    way = copying(hangar, aircraft.settings.node)
    report = session.run(aircraft.settings, aircraft.engine, link=way)
    taken_in = hangar_side.ingest(hangar.engine, hangar.settings, aircraft.settings.node)
    landing.problems += report.problems + taken_in.problems
    landing.received = report.bytes_received
    return landing


def history(end: End, stream: str = "use") -> object:
    """The history that a stream is in."""
    return scalar(end, f"select epoch from sync.epoch where stream = '{stream}'")


def settled(aircraft: End, hangar: End) -> None:
    """Two more landings find nothing wrong and leave nothing behind."""
    for _ in range(2):
        assert land(aircraft, hangar).problems == []
    answer = beat(aircraft, hangar).answer
    assert (answer.wants, answer.former, "up" in answer.names) == ({}, {}, False)
    assert scalar(aircraft, "select count(*) from sync.dirty") == 0
    assert scalar(aircraft, "select count(*) from sync.batch where state = 'published'") == 0
    for folder in (files.outbox(aircraft.settings), files.former(aircraft.settings)):
        assert list(folder.rglob("*.cs")) == []


@dataclass(frozen=True)
class Saved:
    """All tables of a database as they were, to be put back into the same one."""

    end: End
    tables: tuple[str, ...]

    @staticmethod
    def of(end: End) -> Saved:
        """Save them, in a schema of the same database."""
        with end.engine.begin() as connection:
            connection.execute(text("drop schema if exists yesterday cascade"))
            connection.execute(text("create schema yesterday"))
            names = connection.scalars(
                text(
                    "select schemaname || '.' || tablename from pg_tables "
                    "where schemaname in ('public', 'sync') and tablename <> 'alembic_version'"
                )
            ).all()
            for name in names:
                connection.execute(
                    text(f"create table yesterday.{name.replace('.', '_')} as table {name}")
                )
        return Saved(end, tuple(names))

    def put_back(self) -> None:
        """Make the tables what they were."""
        with self.end.engine.begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))
            for name in self.tables:
                connection.execute(text(f"delete from {name}"))
                connection.execute(
                    text(
                        f"insert into {name} overriding system value "
                        f"table yesterday.{name.replace('.', '_')}"
                    )
                )
            connection.execute(text("drop schema yesterday cascade"))
