"""Settings and pg_hba.conf on a real server of their own, which may be restarted and broken."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import file, postgres, postgres_files, postgres_server, psql
from require.remote.shell import Failed, Refused
from require.resource import Change, NoChange, Plan, Resource, Unknown
from tests.conftest import PostgresServer, _binaries, _fast_folder

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
PEER = "local all postgres peer"


@dataclass
class Cluster:
    """A server in a folder of its own, and how often it was started."""

    folder: Path
    starts: list[bool] = field(default_factory=list)

    @property
    def ours(self) -> Path:
        return self.folder / "data/conf.d/turnaround.conf"

    @property
    def hba(self) -> Path:
        return self.folder / "data/pg_hba.conf"

    def control(self, *what: str) -> bool:
        command = [str(_binaries() / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-s", *what]
        if os.geteuid() == 0:
            command = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                *command,
            ]
        return subprocess.run(command, cwd="/", capture_output=True).returncode == 0

    def start(self, config: str, verb: str) -> str:
        assert (config, verb) == (str(self.folder / "data/postgresql.conf"), "restart")
        log = self.folder / "log"
        log.write_text("")
        self.control("-m", "fast", "stop")
        self.starts.append(self.control("-l", str(log), "-t", "5", "start"))
        return "" if self.starts[-1] else log.read_text().splitlines()[-1]


@pytest.fixture(scope="module")
def whole(postgres_server: PostgresServer) -> Iterator[Cluster]:
    """The one of this file."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="turnaround-pg-", dir=_fast_folder())))
    as_user: list[str] = []
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(cluster.folder, account.pw_uid, account.pw_gid)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = cluster.folder / "data"
    initdb = [*as_user, str(_binaries() / "initdb"), "-D", str(data), "-U", "postgres"]
    subprocess.run([*initdb, "--no-sync", "-A", "trust"], check=True, cwd="/", capture_output=True)
    subprocess.run([*as_user, "mkdir", str(cluster.ours.parent)], check=True, cwd="/")
    with open(data / "postgresql.conf", "a") as conf:
        conf.write(
            f"unix_socket_directories = '{cluster.folder}'\nlisten_addresses = ''\nfsync = off\n"
            "shared_buffers = 16MB\nmax_connections = 20\nautovacuum = off\ninclude_dir 'conf.d'\n"
        )
    try:
        assert cluster.control("-l", str(cluster.folder / "log"), "start")
        yield cluster
    finally:
        cluster.control("-m", "immediate", "stop")
        shutil.rmtree(cluster.folder)


@pytest.fixture(autouse=True)
def cluster(whole: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(psql, "ACCOUNT", "postgres" if os.geteuid() == 0 else "")
    where = {"PGHOST": str(whole.folder), "PGUSER": "postgres"}
    monkeypatch.setattr(psql, "ENVIRONMENT", where)
    monkeypatch.setattr(postgres_server, "start", whole.start)
    whole.starts.clear()
    return whole


def declared(values: Any) -> Resource:
    with require.declare():
        return require.postgres.settings(values)


def rules(*lines: str) -> Resource:
    with require.declare():
        return require.postgres.hba(lines)


def plan(resource: Resource) -> Plan:
    return resource.plan(postgres.probe(resource.question()))


def summary(resource: Resource) -> str:
    found = plan(resource)
    assert isinstance(found, Change)
    return found.summary


def bring(resource: Resource) -> None:
    spec = {**resource.question(), **resource.order()}
    postgres.apply(spec, postgres.probe(resource.question()))


def mend(resource: Resource) -> None:
    """Apply what is planned; a second look finds nothing to do."""
    bring(resource)
    assert plan(resource) == NoChange()


def test_every_setting_is_in_force_with_the_value_that_the_server_shows() -> None:
    """Its own units, times, booleans and enums, as it prints them itself."""
    rows = psql.told(
        "SELECT name || '=' || current_setting(name) FROM pg_settings WHERE context <> 'internal' "
        "AND source NOT IN ('override', 'session') ORDER BY name;"
    )
    fixed = ("config_file", "data_directory", "external_pid_file", "hba_file", "ident_file")
    skipped = (*fixed, "port", "unix_socket_directories")
    values = dict(row.split("=", 1) for row in rows.splitlines())
    values = {name: value for name, value in values.items() if name not in skipped}
    resource = declared(values)
    seen = postgres.probe(resource.question())["settings"]
    assert len(seen) > 200
    assert [name for name, each in seen.items() if not each["same"]] == []


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("shared_buffers", "16384kB", True),
        ("shared_buffers", 2048, True),
        ("shared_buffers", "0.015625GB", True),
        ("shared_buffers", "17MB", False),
        ("checkpoint_timeout", "300s", True),
        ("checkpoint_timeout", "5 min", True),
        ("checkpoint_timeout", "6min", False),
        ("vacuum_cost_delay", "0ms", True),
        ("fsync", False, True),
        ("fsync", "no", True),
        ("fsync", True, False),
        ("random_page_cost", 4.0, True),
        ("wal_level", "REPLICA", True),
        ("shared_buffers", "lots", None),
        ("shared_buffers", "5min", None),
        ("fsync", "maybe", None),
    ],
)
def test_values_are_compared_in_the_settings_own_unit(name: str, value: Any, same: Any) -> None:
    seen = postgres.probe(declared({name: value}).question())["settings"]
    assert seen[name]["same"] is same


def test_what_can_be_loaded_is_loaded_and_nothing_restarts(cluster: Cluster) -> None:
    resource = declared({"work_mem": "8MB", "log_timezone": "utc", "max_connections": 20})
    assert summary(resource).startswith("work_mem 4MB → 8MB, log_timezone ")
    mend(resource)
    assert cluster.starts == []
    assert psql.told("SHOW work_mem;") == "8MB"
    assert cluster.ours.read_text() == (
        "# Written by turnaround.\nwork_mem = '8MB'\nlog_timezone = 'utc'\nmax_connections = '20'\n"
    )
    assert os.listdir(cluster.ours.parent) == ["turnaround.conf"]


def test_one_restart_for_all_that_need_it_and_one_more_when_they_are_taken_out(
    cluster: Cluster,
) -> None:
    resource = declared(
        {
            "max_connections": 25,
            "shared_buffers": "17MB",
            "wal_buffers": -1,
            "shared_preload_libraries": ["pg_stat_statements", "auto_explain"],
            "pg_stat_statements.max": 1000,
        }
    )
    assert "max_connections 20 → 25 with a restart, shared_buffers 16MB → 17MB with a restart" in (
        summary(resource)
    )
    mend(resource)
    assert cluster.starts == [True]
    mend(resource)
    assert cluster.starts == [True]
    mend(declared({"max_connections": 25}))
    assert cluster.starts == [True, True]
    assert psql.told("SHOW shared_buffers;") == "16MB"


def test_what_somebody_changed_by_hand_is_found_and_put_back(cluster: Cluster) -> None:
    resource = declared({"work_mem": "6MB"})
    mend(resource)
    cluster.ours.write_text("work_mem = 7MB\n")
    psql.told("SELECT pg_reload_conf();")
    psql.told("SELECT pg_sleep(0.1);")
    found = plan(resource)
    assert isinstance(found, Change)
    assert found.summary == "work_mem 7MB → 6MB"
    assert "-work_mem = 7MB\n+# Written by turnaround.\n+work_mem = '6MB'" in found.diff
    mend(resource)
    psql.told("ALTER SYSTEM SET work_mem = '9MB';")
    psql.told("SELECT pg_reload_conf(), pg_sleep(0.1);")
    assert summary(resource) == "work_mem 9MB by ALTER SYSTEM → 6MB"
    mend(resource)
    assert "work_mem" not in (cluster.folder / "data/postgresql.auto.conf").read_text()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("shared_buffers", "lots", 'invalid value for parameter "shared_buffers"'),
        ("fsync", "maybe", 'parameter "fsync" requires a Boolean value'),
        ("checkpoint_timeout", "5 parsec", 'invalid value for parameter "checkpoint_timeout"'),
        ("wal_level", "none", 'invalid value for parameter "wal_level"'),
        ("shared_preload_libraries", ["nope"], "there is no library nope yet"),
    ],
)
def test_a_value_that_the_server_does_not_take_changes_nothing(
    cluster: Cluster, name: str, value: Any, said: str
) -> None:
    mend(declared({"work_mem": "6MB"}))
    before = cluster.ours.read_text()
    with pytest.raises(Refused, match=said):
        bring(declared({name: value}))
    assert cluster.ours.read_text() == before
    assert psql.silence() == ""
    assert cluster.starts == []


def test_settings_that_it_does_not_start_with_are_taken_back(cluster: Cluster) -> None:
    former = declared({"max_connections": 21})
    mend(former)
    cluster.starts.clear()
    with pytest.raises(Failed, match=r"does not start .*it runs with the former ones.*wal_level"):
        bring(declared({"max_connections": 21, "wal_level": "minimal", "archive_mode": "on"}))
    assert cluster.starts == [False, True]
    assert plan(former) == NoChange()
    assert os.listdir(cluster.ours.parent) == ["turnaround.conf"]


def test_a_setting_that_no_file_of_ours_can_set_is_told(cluster: Cluster) -> None:
    assert plan(declared({"shared_bufers": 1})) == Unknown(
        "this PostgreSQL has no setting shared_bufers", blocked=True
    )
    assert plan(declared({"block_size": 4096})) == Unknown(
        "block_size cannot be set: it is 8192", blocked=True
    )
    resource = declared({"work_mem": "6MB"})
    mend(resource)
    later = cluster.ours.parent / "zz.conf"
    later.write_text("work_mem = 5MB\n")
    try:
        assert plan(resource) == Unknown(
            f"work_mem is set again in {later}:1, which is read after ours: remove that line",
            blocked=True,
        )
    finally:
        later.unlink()


def test_a_fault_in_another_file_is_told_and_ours_is_in_place(cluster: Cluster) -> None:
    other = cluster.ours.parent / "broken.conf"
    other.write_text("this is no setting\n")
    resource = declared({"work_mem": "11MB"})
    try:
        with pytest.raises(
            Failed, match=rf"cannot load its configuration: {other}:1: syntax error"
        ):
            bring(resource)
    finally:
        other.unlink()
    mend(resource)
    assert os.listdir(cluster.ours.parent) == ["turnaround.conf"]


def test_no_log_and_no_statistics_have_a_verifier(cluster: Cluster) -> None:
    mend(
        declared(
            {
                "log_statement": "all",
                "log_min_duration_statement": 0,
                "shared_preload_libraries": "pg_stat_statements",
            }
        )
    )
    psql.told("CREATE EXTENSION pg_stat_statements SCHEMA public;")
    with require.declare():
        user = require.postgres.user("logged", "s3cret")
    order = {**user.order(), "verifier": user.order()["verifier"].reveal()}
    postgres.apply({**user.question(), **order}, postgres.probe(user.question()))
    assert plan(user) == NoChange()
    log = (cluster.folder / "log").read_text()
    assert "SELECT" in log
    assert "CREATE ROLE" not in log
    seen = psql.told("SELECT count(*) FROM public.pg_stat_statements WHERE query ~ 'SCRAM-SHA';")
    assert seen == "0"


def test_who_may_connect_is_the_whole_file(cluster: Cluster) -> None:
    resource = rules("local all postgres peer", "local all all trust")
    found = plan(resource)
    assert isinstance(found, Change)
    assert found.summary == "who may connect"
    assert "+local all postgres peer\n" in found.diff
    mend(resource)
    assert cluster.hba.read_text() == (
        "# Written by turnaround.\nlocal all postgres peer\nlocal all all trust\n"
    )
    assert not [name for name in os.listdir(cluster.hba.parent) if "former" in name]


def test_rules_that_the_server_does_not_understand_are_taken_back(cluster: Cluster) -> None:
    mend(rules(PEER, "local all all trust"))
    before = cluster.hba.read_text()
    with pytest.raises(Refused, match=r'line 3: invalid CIDR mask in address "10\.0\.0\.0/99"'):
        bring(rules(PEER, "host all all 10.0.0.0/99 trust"))
    assert cluster.hba.read_text() == before
    assert not [name for name in os.listdir(cluster.hba.parent) if "former" in name]


def test_what_is_no_text_is_shown_as_well_as_can_be(cluster: Cluster) -> None:
    cluster.hba.write_bytes(b"# caf\xe9 na\xc3\xafve\nlocal all all trust\n")
    found = plan(rules(PEER))
    assert isinstance(found, Change)
    assert "-# caf� naïve\n" in found.diff


def test_a_cut_before_the_restart_leaves_what_it_last_started_with(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend(declared({"max_connections": 22}))

    def power_cut(config: str, verb: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres_server, "start", power_cut)
    bad = {"wal_level": "minimal", "archive_mode": "on"}
    with pytest.raises(KeyboardInterrupt):
        bring(declared(bad))
    with pytest.raises(KeyboardInterrupt):
        bring(declared(bad))
    monkeypatch.setattr(postgres_server, "start", cluster.start)
    config = str(cluster.folder / "data/postgresql.conf")
    assert "wal_level" in cluster.start(config, "restart")
    assert postgres_server.go_back(str(cluster.folder / "data")) == [str(cluster.ours)]
    assert cluster.start(config, "restart") == ""
    assert plan(declared({"max_connections": 22})) == NoChange()


def test_a_cut_before_the_former_file_is_forgotten_is_finished(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(path: str) -> None:
        raise KeyboardInterrupt

    both = [declared({"work_mem": "12MB"}), rules(PEER, "local all all trust", "local x x reject")]
    with monkeypatch.context() as patch:
        patch.setattr(postgres_files, "_forget", power_cut)
        for each in both:
            with pytest.raises(KeyboardInterrupt):
                bring(each)
    for each in both:
        assert plan(each) == Change("finish what a run that was cut began")
        mend(each)


def test_nothing_is_left_half_written(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that is there when the disk is full is the former one."""
    mend(declared({"work_mem": "6MB"}))
    before = cluster.ours.read_text()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        bring(declared({"work_mem": "7MB"}))
    assert cluster.ours.read_text() == before
