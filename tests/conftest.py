"""What every test may ask for: a database of its own on a private PostgreSQL, settings, a clock."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from common import migrate
from common.settings import Settings
from fleet import packages


@dataclass(frozen=True)
class PostgresServer:
    """A server that listens on a Unix socket in a folder of its own, and nowhere else."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg2://postgres@/{database}?host={self.folder}"

    def run(self, *statements: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()


def _fast_folder() -> Path | None:
    # In memory where there is some: databases and change-sets mostly wait for a disk to sync.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    return memory if roomy else None


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder where a sync to the disk costs nothing, if this machine has such a place."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        yield Path(folder)


def _binaries() -> Path:
    versions = Path("/usr/lib/postgresql")
    # Another worker may be in the middle of installing it.
    if os.geteuid() == 0 or not any(versions.glob("*/bin/postgres")):
        packages.ensure(["postgresql"], purpose="the tests' own database server")
    found = sorted(
        versions.glob("*/bin/postgres"),
        key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0),
    )
    return found[-1].parent


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """What tests of several rooms start, installed at its first use."""
    packages.ensure(["openssh-client"], purpose="the tests")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One throw-away server for the whole run; it never syncs to disk."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="turnaround-pg-", dir=_fast_folder()))
    as_user: list[str] = []
    if os.geteuid() == 0:
        # The server refuses to run as root.
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
        as_user += ["--clear-groups", "--"]
    data = folder / "data"
    options = (
        f"-c unix_socket_directories={folder} -c listen_addresses= -c fsync=off "
        "-c full_page_writes=off -c synchronous_commit=off -c max_connections=120 "
        "-c shared_buffers=32MB -c autovacuum=off -c log_min_messages=fatal"
    )
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
    initdb += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    control = [*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-w", "-s"]
    log = folder / "log"
    try:
        subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd="/")
        subprocess.run([*control, "-o", options, "-l", str(log), "start"], check=True, cwd="/")
        yield PostgresServer(folder)
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """The name of a database at the newest migration, to copy from."""
    postgres_server.run("create database migrated")
    engine = create_engine(postgres_server.url("migrated"))
    migrate.upgrade(engine)
    engine.dispose()
    return "migrated"


class Databases:
    """Databases at the newest migration, used again after they were emptied: that is 20 times faster
    than copying one for each test. Those that played a role keep its triggers for the next of it.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server, self._template = server, template
        self._made = count(1)
        self._free: dict[str, list[Engine]] = {}

    def take(self, role: str) -> Engine:
        if self._free.get(role):
            return self._free[role].pop()
        name = f"test_{next(self._made)}"
        self._server.run(f"create database {name} template {self._template}")
        return create_engine(self._server.url(name))

    def give_back(self, engine: Engine, role: str) -> None:
        # Connections that a test forgot would hold their locks for ever.
        engine.dispose()
        with engine.begin() as connection:
            connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            )
            connection.execute(text("set local session_replication_role = replica"))
            connection.execute(text(_EMPTY))
            if role == NO_ROLE:
                connection.execute(text(_DROP_TRIGGERS))
        self._free.setdefault(role, []).append(engine)


NO_ROLE = "none"
_EMPTY = """
do $$
declare one record;
begin
    for one in select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname in ('public', 'sync') and tablename <> 'alembic_version'
    loop
        execute format('delete from %s', one.name);
    end loop;
end $$
"""
# A test may have installed some role's; they go with their functions.
_DROP_TRIGGERS = """
do $$
declare one record;
begin
    for one in select p.oid::regprocedure as name from pg_proc p
        where p.pronamespace = 'sync'::regnamespace and p.prorettype = 'trigger'::regtype
    loop
        execute format('drop function %s cascade', one.name);
    end loop;
end $$
"""


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer, migrated_template: str) -> Databases:
    """The run's databases."""
    return Databases(postgres_server, migrated_template)


@pytest.fixture
def new_database(databases: Databases) -> Iterator[Callable[..., Engine]]:
    """Makes databases at the newest migration, without rows; without triggers unless for a role."""
    taken: list[tuple[Engine, str]] = []

    def make(role: str = NO_ROLE) -> Engine:
        taken.append((databases.take(role), role))
        return taken[-1][0]

    yield make
    for engine, role in taken:
        databases.give_back(engine, role)


@pytest.fixture
def engine(new_database: Callable[..., Engine]) -> Engine:
    """A database of this test's own, at the newest migration."""
    return new_database()


@dataclass
class Clock:
    """A clock that moves only when it is told to."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still at noon, 23 November 2026, UTC."""
    return Clock()


@pytest.fixture(scope="session")
def hangar_key(_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hangar's private key; beside it are `aircraft`, which all aircraft of tests have, and `signers`,
    who may sign: the hangar with the one, EC-… with the other."""
    folder = tmp_path_factory.mktemp("keys")
    lines = []
    for name, who in (("hangar", "hangar"), ("aircraft", "EC-*")):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
        lines.append(f"{who} {(folder / name).with_suffix('.pub').read_text()}")
    (folder / "signers").write_text("".join(lines))
    return folder / "hangar"


@pytest.fixture
def new_settings(hangar_key: Path) -> Iterator[Callable[..., Settings]]:
    """Makes settings of a host whose folders are below one that is removed afterwards."""
    top = Path(tempfile.mkdtemp(prefix="turnaround-", dir=_fast_folder()))

    def make(node: str = "EC-TAA", role: str = "aircraft", **more: object) -> Settings:
        home = top / node
        (home / "run").mkdir(parents=True, exist_ok=True)
        values = {
            "node": node,
            "role": role,
            "state_dir": home / "state",
            "run_dir": home / "run",
            "current_dir": home / "current",
            "ssh_key": hangar_key.with_name(role),
            "signers": hangar_key.with_name("signers"),
            **more,
        }
        return Settings(**values)

    yield make
    shutil.rmtree(top, ignore_errors=True)
