"""What PostgreSQL and Redis promise on a host, as they themselves tell it."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.hosts


SETTINGS = {
    "data_checksums": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "lz4",
    "max_wal_size": "1GB",
    "listen_addresses": "",
    "statement_timeout": "15min",
    "lock_timeout": "2min",
    "idle_in_transaction_session_timeout": "15min",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


def test_the_database_is_set_for_a_box_that_loses_power(host: Host) -> None:
    asked = ", ".join(f"'{name}', current_setting('{name}')" for name in SETTINGS)
    said = host.check_output("sudo -u postgres psql -XAtc %s", f"select json_build_object({asked})")
    assert json.loads(said) == SETTINGS


def test_only_who_has_an_account_here_reaches_the_database(host: Host) -> None:
    assert host.check_output("ss -Hltn sport = :5432") == ""
    wrong = host.run("sudo -u ops psql -XAtc 'select 1' turnaround")
    assert "no pg_hba.conf entry" in wrong.stderr
    other = host.run("sudo -u turnaround psql -XAtc 'select 1' postgres")
    assert "no pg_hba.conf entry" in other.stderr


def test_no_statement_comes_into_the_log(host: Host) -> None:
    secret = "ada-0b1c2d@example.com"
    wrong = f"select '{secret}'::int"
    assert host.run("sudo -u turnaround psql -XAtc %s turnaround", wrong).rc != 0
    assert host.run("grep -rqF 'invalid input syntax' /var/log/postgresql").rc == 0
    assert host.run("grep -rF %s /var/log/postgresql", f"select '{secret}'").stdout == ""


def test_redis_is_bounded_evicts_nothing_and_keeps_nothing(host: Host) -> None:
    names = "maxmemory maxmemory-policy save appendonly bind protected-mode"
    found = json.loads(host.check_output(f"redis-cli --json config get {names}"))
    assert found == {
        "maxmemory": str(64 << 20),
        "maxmemory-policy": "noeviction",
        "save": "",
        "appendonly": "no",
        "bind": "127.0.0.1 -::1",
        "protected-mode": "yes",
    }


def test_the_socket_of_redis_is_its_groups_only(host: Host) -> None:
    socket = host.file("/run/redis/redis-server.sock")
    assert (socket.user, socket.group, socket.mode) == ("redis", "redis", 0o770)
