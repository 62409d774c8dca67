"""The server of a Debian host: made, started, and what a power cut left of one; on a host of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from require.remote import apt, postgres, postgres_server
from require.remote.shell import Failed
from tests.require.remote.programs import Programs

SPEC = {"verb": "server", "database": "postgres", "sql": "SELECT 1", "names": ["postgresql"]}


class Debian:
    """What systemctl and psql of a host do, and which folders the server's packages know."""

    def __init__(self, top: Path, programs: Programs) -> None:
        self.conf, self.data, self.logs = top / "etc", top / "lib", top / "log"
        self.create = top / "common/createcluster.d"
        for folder in (self.conf, self.data, self.logs):
            folder.mkdir()
        self.answers = False
        self.active = True
        self.starts_with: str | None = ""
        self.journal = ""
        self.says = "psql: error: connection failed"
        self.programs = programs
        programs.answer = self.do

    def cluster(self) -> Path:
        """Make a whole one, and return its folder of configuration."""
        conf = self.conf / "17/main"
        (conf / "conf.d").mkdir(parents=True)
        (self.data / "17/main").mkdir(parents=True)
        for name in ("postgresql.conf", "environment"):
            (conf / name).touch()
        return conf

    def do(self, argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv[0] == "psql":
            return (0, "t", "") if self.answers else (2, "", self.says)
        if argv[0] == "pg_createcluster":
            self.cluster()
        if argv[0] == "journalctl":
            return 0, self.journal, ""
        if argv[:2] in (["systemctl", "start"], ["systemctl", "restart"]):
            file = self.conf / "17/main/conf.d/turnaround.conf"
            text = file.read_text() if file.exists() else ""
            self.answers = self.starts_with is not None and text == self.starts_with
            if not self.answers:
                with open(self.logs / "postgresql-17-main.log", "a") as log:
                    log.write("x LOG:  y\nx FATAL:  bad\n")
        if argv[:2] == ["systemctl", "is-active"]:
            return (0 if self.active else 3), "", ""
        return 0, "", ""

    def started(self, program: str) -> list[str]:
        return [" ".join(argv[1:]) for argv in self.programs.started if argv[0] == program]


@pytest.fixture
def debian(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Debian:
    host = Debian(tmp_path, programs)
    monkeypatch.setattr(postgres_server, "CONF", str(host.conf))
    monkeypatch.setattr(postgres_server, "DATA", str(host.data))
    monkeypatch.setattr(postgres_server, "LOGS", str(host.logs))
    monkeypatch.setattr(postgres_server, "CREATE", str(host.create))
    host.create.parent.parent.mkdir(exist_ok=True)
    return host


def bring(missing: Sequence[str] = (), checksums: bool = True) -> None:
    postgres.apply({**SPEC, "checksums": checksums}, {"missing": list(missing), "answers": False})


def test_a_server_that_is_stopped_is_started_and_not_restarted(debian: Debian) -> None:
    debian.cluster()
    bring()
    assert "start postgresql@17-main.service" in debian.started("systemctl")
    assert not any("restart" in each for each in debian.started("systemctl"))
    assert not debian.started("pg_createcluster")


def test_a_new_cluster_is_made_with_checksums_unless_not_asked_for(debian: Debian) -> None:
    debian.cluster()
    bring(checksums=False)
    assert not debian.create.exists()
    bring(checksums=True)
    conf = debian.create / "turnaround.conf"
    assert conf.read_text() == "# Written by turnaround.\ninitdb_options = '--data-checksums'\n"
    assert debian.create.stat().st_mode & 0o777 == 0o755
    assert debian.create.parent.stat().st_mode & 0o777 == 0o755


def test_where_there_is_no_cluster_one_is_made(
    debian: Debian, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = postgres_server.glob.glob
    several = ["/usr/lib/postgresql/9.6/bin/postgres", "/usr/lib/postgresql/17/bin/postgres"]

    def found(pattern: str) -> list[str]:
        return several if pattern.startswith("/usr") else real(pattern)

    monkeypatch.setattr(postgres_server.glob, "glob", found)
    bring()
    assert debian.started("pg_createcluster") == ["17 main"]
    assert debian.answers


@pytest.mark.parametrize(
    ("sign", "gone"),
    [
        (None, True),
        ("lib/17/main/postmaster.opts", False),
        ("lib/17/main/backup_label", False),
        ("etc/17/main/environment", False),
    ],
    ids=["never started", "was started", "restored", "whole"],
)
def test_what_a_power_cut_left_of_a_new_cluster_is_removed_and_nothing_else(
    debian: Debian, monkeypatch: pytest.MonkeyPatch, sign: str | None, gone: bool
) -> None:
    conf = debian.cluster()
    (conf / "environment").unlink()
    (debian.data / "17/main/PG_VERSION").write_text("17")
    if sign:
        (debian.conf.parent / sign).touch()
    seen = []

    def install(names: Sequence[str]) -> None:
        seen.append((debian.data / "17/main").exists())
        debian.answers = True

    monkeypatch.setattr(apt, "install", install)
    bring(["postgresql"])
    assert seen == [not gone]
    assert conf.exists() is not gone


def test_a_server_that_does_not_start_with_what_a_cut_run_wrote_goes_back(debian: Debian) -> None:
    conf = debian.cluster() / "conf.d"
    (conf / "turnaround.conf").write_text("bad")
    (conf / ".turnaround.conf.former").write_text("good")
    debian.starts_with, debian.active = "good", False
    bring()
    assert (conf / "turnaround.conf").read_text() == "good"
    assert not (conf / ".turnaround.conf.former").exists()


def test_one_that_starts_keeps_what_a_cut_run_wrote(debian: Debian) -> None:
    conf = debian.cluster() / "conf.d"
    (conf / "turnaround.conf").write_text("new")
    (conf / ".turnaround.conf.former").write_text("old")
    debian.starts_with = "new"
    bring()
    assert (conf / "turnaround.conf").read_text() == "new"


def test_why_it_does_not_start_is_told(debian: Debian) -> None:
    debian.cluster()
    debian.starts_with, debian.active = None, False
    debian.journal = (
        "Stopped.\nError: pg_ctl exited with status 1:\npostgres: max_connections is too small\n"
    )
    (debian.logs / "postgresql-17-main.log").write_text("x FATAL:  of yesterday\n" * 9)
    with pytest.raises(
        Failed, match=r"answer: postgres: max_connections is too small; FATAL:  bad$"
    ):
        bring()


def test_a_recovering_server_is_waited_for_and_not_restarted(
    debian: Debian, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian.cluster()
    debian.starts_with = None
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        debian.answers = len(waited) == 3

    monkeypatch.setattr(postgres_server.time, "sleep", sleep)
    bring()
    assert len(waited) == 3


def test_a_file_that_psql_itself_cannot_read_is_told_at_once(debian: Debian) -> None:
    debian.cluster()
    debian.starts_with, debian.says = None, "Error: invalid line 1 in /etc/x.conf: nonsense"
    with pytest.raises(Failed, match=r"main.service runs and does not answer: Error: invalid line"):
        bring()


def test_a_server_that_is_none_of_debians_is_left_to_its_owner() -> None:
    with pytest.raises(Failed, match=r"none of Debian's clusters .* restart it by hand"):
        postgres_server.start("/srv/pg/postgresql.conf", "restart")


def test_only_the_server_is_looked_at_without_one(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (
        (1, "", "Error: Invalid data directory") if argv[0] == "psql" else (0, "", "")
    )
    state: dict[str, Any] = postgres.probe(SPEC)
    assert state == {"missing": ["postgresql"], "answers": False}
