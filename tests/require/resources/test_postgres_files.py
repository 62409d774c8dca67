"""What settings and pg_hba.conf make of what they may find. One small case per situation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]

TEXT = "# Written by turnaround.\nwork_mem = '8MB'\nmax_connections = '40'\n"


def tuned() -> Resource:
    return require.postgres.settings({"work_mem": "8MB", "max_connections": 40})


def value(**more: Any) -> dict[str, Any]:
    state = {"known": True, "shown": "8MB", "context": "user", "type": "integer", "ours": True}
    state |= {"source": "configuration file", "pending": False, "same": True, "auto": False}
    return state | {"last": "/c/turnaround.conf:2"} | more


def loaded(text: str | None = TEXT, /, **more: dict[str, Any]) -> dict[str, Any]:
    limit = value(shown="40", context="postmaster")
    return {
        "answers": True,
        "path": "/c/turnaround.conf",
        "config": "/etc/postgresql.conf",
        "read": True,
        "cut": False,
        "waits": None,
        "sha": None if text is None else hashlib.sha256(text.encode()).hexdigest(),
        "text": None if text in (None, TEXT) else text,
        "settings": {"work_mem": value(), "max_connections": limit} | more,
    }


def tuned_diff(before: str) -> str:
    return require.diff.unified(before, TEXT, "/c/turnaround.conf")


SETTINGS: dict[str, Case] = {
    "as declared": (tuned, loaded(), NoChange()),
    "before the server": (tuned, {"answers": False}, Unknown("until PostgreSQL answers")),
    "no file yet, another value": (
        tuned,
        loaded(None, work_mem=value(shown="4MB", same=False, last="/etc/postgresql.conf:9")),
        Change("work_mem 4MB → 8MB", tuned_diff("")),
    ),
    "no file yet, the same values": (
        tuned,
        loaded(None),
        Change("keep in conf.d/turnaround.conf what is in force", tuned_diff("")),
    ),
    "another value that needs a restart": (
        tuned,
        loaded(
            "max_connections = '20'\n",
            max_connections=value(shown="20", same=False, context="postmaster"),
        ),
        Change("max_connections 20 → 40 with a restart", tuned_diff("max_connections = '20'\n")),
    ),
    "the file as declared, not loaded": (
        tuned,
        loaded(work_mem=value(shown="4MB", same=False)),
        Change("work_mem 4MB → 8MB"),
    ),
    "another value waits for the next start": (
        tuned,
        loaded(max_connections=value(shown="40", pending=True, context="postmaster")),
        Change("max_connections 40 until the next start → 40, for good"),
    ),
    "a run was cut before the server had taken it": (
        tuned,
        loaded() | {"cut": True},
        Change("finish what a run that was cut began"),
    ),
    "set by ALTER SYSTEM": (
        tuned,
        loaded(work_mem=value(shown="4MB", same=False, auto=True)),
        Change("work_mem 4MB by ALTER SYSTEM → 8MB"),
    ),
    "the same by ALTER SYSTEM": (
        tuned,
        loaded(work_mem=value(auto=True)),
        Change("work_mem 8MB until the next start → 8MB, for good, not by ALTER SYSTEM"),
    ),
    "no such setting": (
        tuned,
        loaded(work_mem=value(known=False, shown=None, last=None, ours=None)),
        Unknown("this PostgreSQL has no setting work_mem", blocked=True),
    ),
    "fixed when it was built": (
        tuned,
        loaded(work_mem=value(context="internal")),
        Unknown("work_mem cannot be set: it is 8MB", blocked=True),
    ),
    "set by the command line": (
        tuned,
        loaded(work_mem=value(source="command line", shown="4MB", same=False)),
        Unknown(
            "work_mem is set to 4MB by the server's command line, which wins over a file",
            blocked=True,
        ),
    ),
    "set again in a later file": (
        tuned,
        loaded(work_mem=value(last="/c/zz.conf:3")),
        Unknown(
            "work_mem is set again in /c/zz.conf:3, which is read after ours: remove that line",
            blocked=True,
        ),
    ),
    "a file that the server does not read": (
        tuned,
        loaded() | {"read": False},
        Unknown(
            "/etc/postgresql.conf does not read /c/turnaround.conf: it needs the line "
            "include_dir = 'conf.d'",
            blocked=True,
        ),
    ),
    "a text that the server spells otherwise": (
        tuned,
        loaded(work_mem=value(type="string", same=False)),
        NoChange(),
    ),
    "what the server finds out itself": (
        lambda: require.postgres.settings({"wal_buffers": -1}),
        loaded("# Written by turnaround.\nwal_buffers = '-1'\n")
        | {
            "text": None,
            "settings": {"wal_buffers": value(same=False, source="override", shown="4MB")},
        },
        NoChange(),
    ),
    "a library that is not installed yet": (
        tuned,
        loaded() | {"waits": "library pg_cron"},
        Unknown("until there is a library pg_cron"),
    ),
    "a setting of a library that is not loaded yet": (
        lambda: require.postgres.settings({"pg_cron.x": 1}),
        loaded("")
        | {"settings": {"pg_cron.x": value(known=False, shown=None, last=None, same=None)}},
        Change(
            "pg_cron.x not set → 1",
            require.diff.unified(
                "", "# Written by turnaround.\npg_cron.x = '1'\n", "/c/turnaround.conf"
            ),
        ),
    ),
}

RULES = "# Written by turnaround.\nlocal all postgres peer\n"


def hba() -> Resource:
    return require.postgres.hba(["local all postgres peer"])


def ruled(text: str, **more: Any) -> dict[str, Any]:
    state = {"answers": True, "path": "/c/pg_hba.conf", "wrong": None, "cut": False}
    state |= {"sha": hashlib.sha256(text.encode()).hexdigest(), "text": text}
    return state | more


HBA: dict[str, Case] = {
    "as declared": (hba, ruled(RULES), NoChange()),
    "another": (
        hba,
        ruled("local all all trust\n"),
        Change(
            "who may connect",
            require.diff.unified("local all all trust\n", RULES, "/c/pg_hba.conf"),
        ),
    ),
    "as declared, and not understood": (
        hba,
        ruled(RULES, wrong="line 2: invalid"),
        Unknown("PostgreSQL does not understand it: line 2: invalid", blocked=True),
    ),
    "a run was cut before the server had taken it": (
        hba,
        ruled(RULES, cut=True),
        Change("finish what a run that was cut began"),
    ),
    "before the server": (hba, {"answers": False}, Unknown("until PostgreSQL answers")),
}


TABLES = {"settings": SETTINGS, "hba": HBA}


@pytest.mark.parametrize(
    ("make", "state", "expected"),
    [
        pytest.param(*case, id=f"{what}: {name}")
        for what, table in TABLES.items()
        for name, case in table.items()
    ],
)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected


def test_settings_are_written_as_the_server_reads_them() -> None:
    with require.declare():
        resource = require.postgres.settings(
            {
                "shared_preload_libraries": ["a", "b"],
                "fsync": True,
                "random_page_cost": 1.1,
                "TimeZone": "UTC",
                "log_line_prefix": "it's \\ %m",
                "auto_explain.log_min_duration": 0,
            }
        )
    assert resource.order()["content"].decode() == (
        "# Written by turnaround.\nshared_preload_libraries = 'a, b'\nfsync = 'on'\n"
        "random_page_cost = '1.1'\ntimezone = 'UTC'\nlog_line_prefix = 'it''s \\\\ %m'\n"
        "auto_explain.log_min_duration = '0'\n"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "wanted one setting at least"),
        ({"shared buffers": 1}, "'shared buffers' cannot be the name"),
        ({"port": 5433}, "port says where the server is"),
        ({"include_dir": "x"}, "include_dir says where"),
        ({"work_mem": "1MB\nfsync = off"}, "wanted a value in one line"),
        ({"work_mem": "1MB", "WORK_MEM": "2MB"}, "work_mem is there twice"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        require.postgres.settings(values)


PEER = "local all postgres peer"


@pytest.mark.parametrize(
    "rules",
    [
        [PEER],
        ["local all all peer"],
        ["local all postgres, ops peer # us"],
        ["host all all 0.0.0.0/0 reject", "local ife ife reject", PEER],
        [PEER, "local all all reject", 'hostssl "a b" "all" 10.0.0.0 255.0.0.0 cert map=x'],
    ],
)
def test_rules_that_let_the_engine_in_are_taken(rules: list[str]) -> None:
    with require.declare():
        require.postgres.hba(rules)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "nothing lets the account postgres in"),
        (["host all all 127.0.0.1/32 trust"], "nothing lets the account postgres in"),
        (["local all all reject", PEER], "'local all all reject' could keep the account"),
        (["local all +ops scram-sha-256", PEER], "could keep the account"),
        (["local ife all scram-sha-256", PEER], "could keep the account"),
        (["local all @admins peer", PEER], "could keep the account"),
        (["local all postgres peer map=x"], "could keep the account"),
        (["local all postgres trust"], "could keep the account"),
        (['local all "all" peer', PEER], "could keep the account"),
        ([PEER, "include more.conf"], "wanted TYPE DATABASE USER"),
        ([PEER, "host all all trust"], "wanted TYPE DATABASE USER"),
        ([PEER, "# nothing"], "wanted TYPE DATABASE USER"),
        ([PEER, "local all all peer\nlocal all x trust"], "in one line"),
    ],
)
def test_rules_that_could_keep_the_engine_out_are_refused(rules: list[str], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        require.postgres.hba(rules)
