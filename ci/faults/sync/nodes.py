"""A hangar and its aircraft on one machine: databases of their own, folders, and a link that can be cut."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine, text

from ci.faults.sync import wire
from ci.faults.sync.hand import Worker
from ci.faults.sync.hindrance import CUT
from ci.faults.sync.order import Ended, Order
from common import migrate
from common.database import engine_for
from common.settings import Settings
from fleet import packages
from sync import ack, capture, files, publish, state

HANGAR = "hangar"
ROUNDS = 8


class Server(Protocol):
    """A PostgreSQL server of this run alone."""

    @property
    def folder(self) -> Path: ...
    def url(self, database: str) -> str: ...


@dataclass(frozen=True)
class Reply:
    """A heartbeat's answer: to which streams, what is due, and what was acknowledged."""

    said: Mapping[str, Any]
    due: state.Due
    acks: Mapping[str, Any]


@dataclass
class Node:
    """One host: its settings, and its database."""

    settings: Settings
    engine: Engine
    database: str

    @property
    def name(self) -> str:
        return self.settings.node

    def order(self, do: str, **more: Any) -> Order:
        """Returns an order for this host."""
        return Order(do, self.settings.model_dump(mode="json"), **more)

    def sql(self, *statements: str, **values: Any) -> None:
        """Runs statements in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def ask(self, query: str, **values: Any) -> list[Any]:
        """Returns the rows of a query, as tuples."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]


@dataclass
class Nodes:
    """One hangar and its aircraft.

    Args:
        server: where their databases are made.
        folder: where their folders are made.
        prefix: of the names of the databases.
    """

    server: Server
    folder: Path
    prefix: str
    hangar: Node = field(init=False)
    aircraft: list[Node] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self.folder / "sync_ed25519"
        if not key.exists():
            packages.ensure(["openssh-client", "rsync"], purpose="the table of synchronisation")
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(keygen, check=True)
            # One key for all: who signs for whom is not what is broken here.
            signers = f"{HANGAR},EC-* {key.with_suffix('.pub').read_text()}"
            key.with_name("signers").write_text(signers)
        self.hangar = self.node(HANGAR, "hangar")

    def add(self, name: str) -> Node:
        """Makes another aircraft, which the hangar knows."""
        node = self.node(name, "aircraft")
        self.aircraft.append(node)
        tower = f"10.0.0.{len(self.aircraft)}"
        self.hangar.sql(
            "insert into aircraft (name, tower, airline) values (:n, :t, :a)",
            n=name,
            t=tower,
            a=node.settings.airline,
        )
        publish.publish(self.hangar.engine, self.hangar.settings)
        return node

    def node(self, name: str, role: str) -> Node:
        """Makes a host; of an aircraft the hangar has a folder, and knows nothing yet."""
        if role == "aircraft":
            files.inbox(self.hangar.settings, name).mkdir(parents=True, exist_ok=True)
        database = f"{self.prefix}_{name.lower().replace('-', '_')}"
        create(self.server, database, template(self.server))
        home = self.folder / name
        (home / "run").mkdir(parents=True, exist_ok=True)
        (home / "state").mkdir(exist_ok=True)
        values: dict[str, Any] = {
            "database_url": self.server.url(database),
            "state_dir": home / "state",
            "run_dir": home / "run",
            "current_dir": home / "current",
            "ssh_key": self.folder / "sync_ed25519",
            "signers": self.folder / "signers",
        }
        settings = Settings(node=name, role=role, **values)  # type: ignore[arg-type]
        node = Node(settings, engine_for(settings), database)
        with node.engine.begin() as connection:
            capture.install(connection, role)
        return node

    def close(self) -> None:
        """Removes the databases; the folders are the caller's."""
        for node in (self.hangar, *self.aircraft):
            self.remove(node)

    def remove(self, node: Node) -> None:
        """Removes a host's database."""
        node.engine.dispose()
        drop(self.server, node.database)

    def cut(self, aircraft: Node) -> Path:
        """Returns the file that cuts an aircraft's link as long as it is there."""
        return aircraft.settings.run_dir / CUT

    def session(self, aircraft: Node, do: str = "session", **fault: Any) -> Order:
        """Returns the order for an aircraft's part of a synchronisation, or for the push alone."""
        state_dir = str(self.hangar.settings.state_dir)
        words = [sys.executable, "-S", "-I", wire.__file__, state_dir, aircraft.name]
        return aircraft.order(do, link=(*words, str(self.cut(aircraft))), **fault)

    def ingest(self, aircraft: Node, **fault: Any) -> Order:
        """Returns the order for the hangar's part of a synchronisation."""
        return self.hangar.order("ingest", peer=aircraft.name, **fault)

    def beat(self, aircraft: Node) -> Reply:
        """One heartbeat: what the aircraft says is kept, and answered."""
        told = state.local_state(aircraft.engine, aircraft.settings)
        body = json.loads(json.dumps(told))
        self.hangar.sql(
            "update aircraft set last_body = cast(:body as jsonb) where name = :name",
            body=json.dumps(body),
            name=aircraft.name,
        )
        hangar = self.hangar
        due = state.due(hangar.engine, hangar.settings, aircraft.name, body)
        acks: dict[str, Any] = dict(state.acks(hangar.engine, aircraft.name))
        return Reply(body["up"], due, acks)

    def land(self, worker: Worker, aircraft: Node) -> tuple[list[str], list[str]]:
        """One whole landing; what is still due then, and what was found wrong."""
        self.cut(aircraft).unlink(missing_ok=True)
        ends = [worker.do(order) for order in (self.session(aircraft), self.ingest(aircraft))]
        reply = self.beat(aircraft)
        wrong = [problem for end in ends for problem in said(end)]
        wrong += ack.accept(aircraft.engine, aircraft.settings, reply.acks)
        due = reply.due
        ack.heal(aircraft.engine, aircraft.settings, reply.said, due.wants, due.former)
        return [*due.names, *due.wants, *(["ingest"] if due.unapplied else [])], wrong

    def quiet(self, worker: Worker, rounds: int = ROUNDS) -> list[str]:
        """Lands every aircraft again and again until nothing is due and nothing wrong.

        Returns what was due or wrong in the last of so many rounds; empty when all became quiet.
        """
        left: list[str] = []
        for _ in range(rounds):
            left = []
            for aircraft in self.aircraft:
                due, wrong = self.land(worker, aircraft)
                left += [f"{aircraft.name}: {what}" for what in (*due, *wrong)]
            if not left:
                break
        return left


def said(end: Ended) -> list[str]:
    """Returns what was wrong with how an order ended, in words."""
    return [*end.problems, *([end.error] if end.error else []), *(["killed"] * end.killed)]


def create(server: Server, name: str, copied: str = "template0") -> None:
    """Makes a database, as a copy of another that nobody is connected to."""
    _run(server, f"create database {name} template {copied}")


def drop(server: Server, name: str) -> None:
    """Removes a database, whoever is connected."""
    _run(server, f"drop database if exists {name} with (force)")


def template(server: Server) -> str:
    """Returns the name of a database at the newest migration, made at its first use."""
    name = "migrated"
    top = create_engine(server.url("postgres"))
    with top.connect() as connection:
        query = text("select count(*) from pg_database where datname = :name")
        there = connection.scalar(query, {"name": name})
    top.dispose()
    if not there:
        create(server, name)
        engine = create_engine(server.url(name))
        migrate.upgrade(engine)
        engine.dispose()
    return name


def _run(server: Server, *statements: str) -> None:
    engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def copy(server: Server, source: str, target: str, engines: Sequence[Engine] = ()) -> None:
    """Copies a database as it is now; whoever is connected to the source is disconnected."""
    for engine in engines:
        engine.dispose()
    _run(
        server,
        "select pg_terminate_backend(pid) from pg_stat_activity "
        f"where datname = '{source}' and pid <> pg_backend_pid()",
    )
    create(server, target, source)
