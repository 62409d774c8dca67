"""A PostgreSQL of this run alone, with an aircraft's settings: what is committed is on the disk."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, create_engine, text

from common import migrate
from fleet import packages
from sync import capture

# Of roles/database.py, for the smallest box.
_SETTINGS = {
    "listen_addresses": "",
    "wal_compression": "lz4",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
}


@dataclass(frozen=True)
class Server:
    """A server that listens on a Unix socket in a folder of its own, and nowhere else."""

    folder: Path

    def url(self, database: str) -> str:
        """Where a database of it is."""
        return f"postgresql+psycopg2://postgres@/{database}?host={self.folder}"

    def database(self, name: str, role: str | None = None) -> Engine:
        """A new database at the newest migration, with a role's triggers unless that is None."""
        top = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with top.connect() as connection:
            connection.execute(text(f"create database {name}"))
        top.dispose()
        engine = create_engine(self.url(name))
        migrate.upgrade(engine)
        if role is not None:
            with engine.begin() as connection:
                capture.install(connection, role)
        return engine


@contextmanager
def serving() -> Iterator[Server]:
    """Starts one, and takes it away with all that is in it."""
    packages.ensure(["postgresql"], purpose="inv bench.sync")
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    binaries = max(found, key=lambda path: float(path.parts[-3])).parent
    with tempfile.TemporaryDirectory(prefix="turnaround-bench-") as top:
        folder, as_user = Path(top), []
        if os.geteuid() == 0:
            # The server refuses to run as root.
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
            as_user += ["--clear-groups", "--"]
        data = str(folder / "data")
        initdb = [str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-k"]
        initdb += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd="/")
        settings = _SETTINGS | {"unix_socket_directories": str(folder)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        control = [*as_user, str(binaries / "pg_ctl"), "-D", data, "-w", "-s"]
        start = [*control, "-o", options, "-l", str(folder / "log"), "start"]
        subprocess.run(start, check=True, cwd="/")
        try:
            yield Server(folder)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=False, cwd="/")
            # What the server's account wrote is removed with the folder, which is ours.
            shutil.rmtree(folder / "data", ignore_errors=True)
