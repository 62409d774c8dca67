"""What the noun postgres makes of what it may find. One small case per situation, named after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

import require
from require import scram
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown
from require.secret import Secret

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]

SERVER = {"missing": [], "answers": True, "version": 17, "checksums": False, "data": "/d"}
SERVERS: dict[str, Case] = {
    "as declared": (require.postgres.server, SERVER, NoChange()),
    "not installed": (
        require.postgres.server,
        {"missing": ["postgresql"], "answers": False},
        Change("install postgresql and start it"),
    ),
    "stopped": (
        require.postgres.server,
        {"missing": [], "answers": False},
        Change("start the server"),
    ),
    "another version": (
        lambda: require.postgres.server(version=18),
        SERVER | {"missing": ["postgresql-18"]},
        Unknown(
            "version 17 answers, not 18: install postgresql-18, then pg_upgradecluster 17 main",
            blocked=True,
        ),
    ),
    "the version as declared": (
        lambda: require.postgres.server(version=17, checksums=True),
        SERVER | {"checksums": True},
        NoChange(),
    ),
    "without checksums": (
        lambda: require.postgres.server(checksums=True),
        SERVER,
        Unknown(
            "its data pages have no checksums, and a running cluster cannot be given them: stop it, "
            "run pg_checksums --enable -D /d as postgres (it reads and writes all data once), start "
            "it; or declare checksums=None",
            blocked=True,
        ),
    ),
}

MAY = {
    "login": True,
    "createdb": True,
    "createrole": False,
    "superuser": False,
    "replication": False,
}


def cms() -> Resource:
    return require.postgres.user(name="cms", password="s3cret", createdb=True)


def reports() -> Resource:
    ends = datetime.fromisoformat("2030-01-01T01:00:00+01:00")
    return require.postgres.user(
        "reports", createdb=True, connection_limit=3, valid_until=ends, member_of=["a", "b"]
    )


def role(**more: Any) -> dict[str, Any]:
    verifier = scram.verifier(Secret("s3cret"), b"0" * 16)
    return {"answers": True, "exists": True, "may": MAY, "verifier": verifier} | more


ROLES: dict[str, Case] = {
    "as declared": (cms, role(), NoChange()),
    "absent": (cms, {"answers": True, "exists": False}, Change("create the role")),
    "before the server": (cms, {"answers": False}, Unknown("until PostgreSQL answers")),
    "may too little": (cms, role(may=MAY | {"createdb": False}), Change("createdb yes")),
    "may too much": (cms, role(may=MAY | {"replication": True}), Change("replication no")),
    "another password": (
        cms,
        role(verifier=scram.verifier(Secret("former"), b"0" * 16)),
        Change("password"),
    ),
    "no password": (cms, role(verifier=None), Change("password")),
    "of the socket, which needs none": (
        lambda: require.postgres.user(name="turnaround"),
        {"answers": True, "exists": True, "may": MAY | {"createdb": False}},
        NoChange(),
    ),
    "limit, end and groups as declared": (
        reports,
        role(limit=3, until="2030-01-01 00:00:00Z", member_of=["a", "b", "c"]),
        NoChange(),
    ),
    "limit, end and groups differ": (
        reports,
        role(limit=-1, until=None, member_of=["a"]),
        Change(
            "connection limit -1 → 3, valid until ever → 2030-01-01 00:00:00Z, join b",
        ),
    ),
}


def database() -> Resource:
    return require.postgres.database(name="cms", owner="cms")


def kept(**more: Any) -> dict[str, Any]:
    state = {"answers": True, "exists": True, "owner": "cms", "encoding": "UTF8"}
    return state | {"collate": "C.utf8", "ctype": "C.UTF-8"} | more


CANNOT = "and cannot be changed: dump it, drop it, converge, restore it"
DATABASES: dict[str, Case] = {
    "as declared": (database, kept(), NoChange()),
    "absent": (
        database,
        {"answers": True, "exists": False},
        Change("create the database, owned by cms"),
    ),
    "of another owner": (database, kept(owner="x"), Change("owner x → cms")),
    "of another encoding": (
        database,
        kept(encoding="SQL_ASCII"),
        Unknown(f"its encoding is SQL_ASCII, not UTF8, {CANNOT}", blocked=True),
    ),
    "of another collation": (
        database,
        kept(collate="de_DE.UTF-8"),
        Unknown(f"its collation is de_DE.UTF-8, not C.UTF-8, {CANNOT}", blocked=True),
    ),
    "before the server": (database, {"answers": False}, Unknown("until PostgreSQL answers")),
}


def trgm() -> Resource:
    return require.postgres.extension("pg_trgm", database="ife", version="1.6")


EXTENSIONS: dict[str, Case] = {
    "as declared": (trgm, {"answers": True, "version": "1.6", "waits": None}, NoChange()),
    "any version will do": (
        lambda: require.postgres.extension("pg_trgm", database="ife"),
        {"answers": True, "version": "1.5", "waits": None},
        NoChange(),
    ),
    "absent": (
        trgm,
        {"answers": True, "version": None, "waits": None},
        Change("create the extension 1.6"),
    ),
    "another version": (
        trgm,
        {"answers": True, "version": "1.5", "waits": None},
        Change("update 1.5 → 1.6"),
    ),
    "its package is not installed": (
        trgm,
        {"answers": True, "version": None, "waits": "package that has it"},
        Unknown("until there is a package that has it"),
    ),
    "there, and its package is not": (
        trgm,
        {"answers": True, "version": "1.6", "waits": "package that has it"},
        NoChange(),
    ),
    "before its database": (
        trgm,
        {"answers": False},
        Unknown("until PostgreSQL answers in the database ife"),
    ),
}


def readers(**more: Any) -> Callable[[], Resource]:
    return lambda: require.postgres.grants(
        "readers", ["SELECT"], **{"database": "ife", "on": "tables", **more}
    )


GRANTS: dict[str, Case] = {
    "as declared": (
        readers(),
        {"answers": True, "waits": None, "lacking": None, "beyond": None},
        NoChange(),
    ),
    "lacking and beyond": (
        readers(exact=True),
        {"answers": True, "waits": None, "lacking": {"SELECT": 3}, "beyond": {"DELETE": 1}},
        Change("grant SELECT on 3 tables; revoke DELETE on 1 tables"),
    ),
    "of the database": (
        lambda: require.postgres.grants("readers", ["connect"], database="ife"),
        {"answers": True, "waits": None, "lacking": {"CONNECT": 1}, "beyond": None},
        Change("grant CONNECT"),
    ),
    "of what is made later": (
        readers(future_by=["ife"]),
        {"answers": True, "waits": None, "lacking": None, "beyond": None, "future": {"ife": []}},
        Change("grant SELECT on future tables of ife"),
    ),
    "beyond, of what is made later": (
        readers(future_by=["ife"], exact=True),
        {
            "answers": True,
            "waits": None,
            "lacking": None,
            "beyond": None,
            "future": {"ife": ["SELECT", "UPDATE"]},
        },
        Change("revoke UPDATE on future tables of ife"),
    ),
    "before the role": (
        readers(),
        {"answers": True, "waits": "role readers", "lacking": None, "beyond": None},
        Unknown("until there is a role readers"),
    ),
    "before the database": (
        readers(),
        {"answers": False},
        Unknown("until PostgreSQL answers in the database ife"),
    ),
}

TABLES = {
    "server": SERVERS,
    "role": ROLES,
    "database": DATABASES,
    "extension": EXTENSIONS,
    "grants": GRANTS,
}


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


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: require.postgres.server(version=9), "wanted 13 or later"),
        (lambda: require.postgres.user("x" * 64), "cannot be a name"),
        (lambda: require.postgres.user("x", member_of=[""]), "cannot be a name"),
        (lambda: require.postgres.user("x", connection_limit=-2), "wanted -1"),
        (
            lambda: require.postgres.user("x", valid_until=datetime(2030, 1, 1)),
            "wanted a time with its zone",
        ),
        (lambda: require.postgres.user("postgres", "x"), "keeps login=True, superuser=True"),
        (lambda: require.postgres.database("a\nb", owner="x"), "cannot be a name"),
        (lambda: require.postgres.extension("", database="x"), "cannot be a name"),
        (lambda: require.postgres.grants("x", [], database="d"), "nothing to grant"),
        (lambda: require.postgres.grants("x", ["SELECT"], database="d"), "SELECT: wanted some of"),
        (
            lambda: require.postgres.grants("x", ["CONNECT"], database="d", names=["t"]),
            "for what is in a schema",
        ),
        (
            lambda: require.postgres.grants(
                "x", ["SELECT"], database="d", on="tables", names=["t"], future_by=["o"]
            ),
            "has no names yet",
        ),
        (
            lambda: require.postgres.grants(
                "public", [], database="d", on="functions", future_by=["o"], exact=True
            ),
            "PostgreSQL's default for all schemas",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], Resource], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        make()


def test_what_needs_what_is_known() -> None:
    with require.declare() as catalog:
        require.postgres.grants(
            "reports", ["SELECT"], database="ife", on="tables", future_by=["ife"]
        )
        require.postgres.database("ife", owner="ife", extensions=["pg_trgm"])
        require.postgres.user("reports", member_of=["readers"])
        require.postgres.user("readers", login=False, member_of=["all"])
        require.postgres.user("ife")
        require.postgres.settings({"shared_preload_libraries": "pg_trgm"})
        require.postgres.hba(["local all postgres peer"])
        require.postgres.server()
    order = [each.key.removeprefix("postgres.") for each in catalog.ordered()]
    assert order == [
        "server",
        "user:ife",
        "database:ife",
        "user:readers",
        "user:reports",
        "grants:ife:public:tables:reports",
        "settings",
        "extension:ife:pg_trgm",
        "hba",
    ]
    assert [handler.key for handler in catalog.handlers()] == [
        "systemd.reloaded:postgresql.service"
    ]
