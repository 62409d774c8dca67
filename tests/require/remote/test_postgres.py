"""Roles, databases, extensions and rights on a real server."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

import require
from require.remote import postgres, psql
from require.remote.shell import Failed, Refused
from require.resource import Change, NoChange, Plan, Resource, Unknown

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


class Server(Protocol):
    folder: Any


@pytest.fixture(autouse=True)
def server(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psql, "ACCOUNT", "postgres" if os.geteuid() == 0 else "")
    where = {"PGHOST": str(postgres_server.folder), "PGUSER": "postgres"}
    monkeypatch.setattr(psql, "ENVIRONMENT", where)


def plan(resource: Resource) -> Plan:
    return resource.plan(postgres.probe(resource.question()))


def bring(resource: Resource) -> None:
    spec = {**resource.question(), **resource.order()}
    if isinstance(verifier := spec.get("verifier"), require.Secret):
        spec["verifier"] = verifier.reveal()
    postgres.apply(spec, postgres.probe(resource.question()))


def mend(resource: Resource) -> None:
    """Apply what is planned; a second look finds nothing to do."""
    bring(resource)
    assert plan(resource) == NoChange()


def test_a_role_and_its_database_come_to_be_and_then_are_as_declared() -> None:
    name = "it's \"q\\ a=b"
    with require.declare():
        user = require.postgres.user(name=name, password="pä$$wörd'\\", createdb=True)
        database = require.postgres.database(name=f"{name} db", owner=name)
    assert plan(user) == Change("create the role")
    mend(user)
    assert plan(database) == Change(f"create the database, owned by {name}")
    mend(database)


def test_another_password_and_other_rights_are_seen_and_set() -> None:
    with require.declare():
        before = require.postgres.user("changing", password="one", createdb=True)
    with require.declare():
        after = require.postgres.user("changing", password="two")
    bring(before)
    assert plan(after) == Change("createdb no, password")
    mend(after)


def test_what_a_role_may_and_belongs_to_is_seen_and_set() -> None:
    ends = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    with require.declare():
        groups = [require.postgres.user(f"group {n}", login=False) for n in (1, 2)]
        before = require.postgres.user("limited")
    with require.declare():
        after = require.postgres.user(
            "limited",
            replication=True,
            connection_limit=3,
            valid_until=ends,
            member_of=["group 1", "group 2"],
        )
    for each in (*groups, before):
        mend(each)
    assert plan(after) == Change(
        "replication yes, connection limit -1 → 3, valid until ever → 2030-01-02 03:04:05Z, "
        "join group 1 group 2"
    )
    mend(after)
    assert psql.told("SELECT pg_has_role('limited', 'group 2', 'member');") == "t"
    assert plan(before) == Change("replication no")


def test_the_verifier_is_the_one_that_the_server_itself_makes() -> None:
    with require.declare():
        user = require.postgres.user("native", password="pencil")
    bring(user)
    psql.told("ALTER ROLE native PASSWORD 'pencil';")
    assert plan(user) == NoChange()


def test_without_a_server_it_is_not_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psql, "ENVIRONMENT", {"PGHOST": "/nowhere"})
    with require.declare():
        database = require.postgres.database("x", owner="x")
    assert plan(database) == Unknown("until PostgreSQL answers")
    with pytest.raises(Refused, match="does not answer in the database postgres"):
        bring(database)


def test_one_psql_asks_for_all_resources_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    run = psql.run

    def counting(*args: Any, **named: Any) -> Any:
        started.append(named["env"]["PGDATABASE"])
        return run(*args, **named)

    monkeypatch.setattr(psql, "run", counting)
    monkeypatch.setattr(postgres, "_seen", {})
    with require.declare() as catalog:
        require.postgres.user("anyone")
        require.postgres.hba(["local all postgres peer"])
        require.postgres.database("nothing of that name", owner="anyone", extensions=["pg_trgm"])
        require.postgres.grants("anyone", ["CONNECT"], database="nothing of that name")
    questions = [each.question() for each in catalog]
    postgres.prefetch(questions)
    answers = [postgres.probe(question)["answers"] for question in questions]
    assert answers == [True, True, True, False, False]
    assert started == ["postgres", "nothing of that name"]


def test_a_query_that_the_server_does_not_take_is_that_resources_trouble_alone() -> None:
    good = {"database": "postgres", "sql": """SELECT '{"a": 1}'::jsonb"""}
    bad = {"database": "postgres", "sql": "SELECT nothing"}
    assert postgres.probe(good) == {"answers": True, "a": 1}
    with pytest.raises(Failed, match='column "nothing" does not exist'):
        postgres.probe(bad)


def test_a_database_of_another_locale_is_told_and_left() -> None:
    psql.told("CREATE DATABASE plain LOCALE 'C' TEMPLATE template0;")
    with require.declare():
        database = require.postgres.database("plain", owner="postgres")
    assert plan(database) == Unknown(
        "its collation is C, not C.UTF-8, and cannot be changed: dump it, drop it, converge, "
        "restore it",
        blocked=True,
    )


@pytest.fixture(scope="module")
def shop(postgres_server: Any) -> str:
    """A database with a role that owns two tables, and another that has no rights in it."""
    with require.declare():
        resources = [
            require.postgres.user("owner's"),
            require.postgres.user('read"er'),
            require.postgres.database("shop", owner="owner's"),
        ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psql, "ACCOUNT", "postgres" if os.geteuid() == 0 else "")
        where = {"PGHOST": str(postgres_server.folder), "PGUSER": "postgres"}
        patch.setattr(psql, "ENVIRONMENT", where)
        for each in resources:
            bring(each)
        psql.told(
            'CREATE SCHEMA s; GRANT ALL ON SCHEMA s TO "owner\'s"; SET ROLE "owner\'s"; '
            "CREATE TABLE s.one (id serial); CREATE VIEW s.two AS SELECT 1 AS x; "
            "CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; "
            "CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1';",
            "shop",
        )
    return 'read"er'


def test_an_extension_comes_to_be_and_another_version_is_seen(shop: str) -> None:
    with require.declare():
        any_version = require.postgres.extension("pg_trgm", database="shop")
        none = require.postgres.extension("no_such_thing", database="shop")
    with require.declare():
        old = require.postgres.extension("pg_trgm", database="shop", version="1.3")
    with require.declare():
        new = require.postgres.extension("pg_trgm", database="shop", version="1.6")
    assert plan(none) == Unknown("until there is a package that has it")
    with pytest.raises(Refused, match="there is no package that has it yet"):
        bring(none)
    assert plan(old) == Change("create the extension 1.3")
    mend(old)
    assert plan(new) == Change("update 1.3 → 1.6")
    mend(new)
    assert plan(any_version) == NoChange()
    assert psql.told("SELECT 'public.gin_trgm_ops'::text;", "shop")


def test_rights_are_granted_where_they_lack_and_taken_back_only_when_asked(shop: str) -> None:
    def tables(*privileges: str, **more: Any) -> Resource:
        with require.declare():
            return require.postgres.grants(
                shop, privileges, database="shop", on="tables", schema="s", **more
            )

    assert plan(tables("SELECT", "INSERT")) == Change(
        "grant INSERT on 2 tables; grant SELECT on 2 tables"
    )
    mend(tables("SELECT", "INSERT"))
    psql.told('REVOKE SELECT ON s.two FROM "read""er";', "shop")
    assert plan(tables("SELECT")) == Change("grant SELECT on 1 tables")
    mend(tables("SELECT"))
    assert plan(tables("SELECT", exact=True)) == Change("revoke INSERT on 2 tables")
    mend(tables("SELECT", exact=True))
    assert plan(tables("SELECT", names=["one"])) == NoChange()
    assert plan(tables("SELECT", names=["three"])) == Unknown("until there is a table three")
    with pytest.raises(Refused, match="there is no table three yet"):
        bring(tables("SELECT", names=["three"]))


def test_what_is_made_later_is_granted_as_well(shop: str) -> None:
    with require.declare():
        future = require.postgres.grants(
            shop, ["SELECT"], database="shop", on="tables", schema="s", future_by=["owner's"]
        )
    with require.declare():
        more = require.postgres.grants(
            shop,
            ["UPDATE"],
            database="shop",
            on="tables",
            schema="s",
            future_by=["owner's"],
            exact=True,
        )
    assert "grant SELECT on future tables of owner's" in str(plan(future))
    mend(future)
    psql.told('SET ROLE "owner\'s"; CREATE TABLE s.later ();', "shop")
    assert plan(future) == NoChange()
    assert "revoke SELECT on future tables of owner's" in str(plan(more))
    mend(more)


@pytest.mark.parametrize(
    ("on", "privilege", "said"),
    [
        ("database", "CONNECT", "grant CONNECT"),
        ("schema", "USAGE", "grant USAGE"),
        ("sequences", "USAGE", "grant USAGE on 1 sequences"),
        ("functions", "EXECUTE", "grant EXECUTE on 2 functions"),
    ],
)
def test_each_kind_of_object_has_its_rights(shop: str, on: Any, privilege: str, said: str) -> None:
    with require.declare():
        some = require.postgres.grants(shop, [privilege], database="shop", on=on, schema="s")
    with require.declare():
        none = require.postgres.grants(shop, [], database="shop", on=on, schema="s", exact=True)
    assert plan(some) == Change(said)
    mend(some)
    assert plan(none) == Change(said.replace("grant", "revoke"))
    mend(none)


def test_what_everybody_may_can_be_taken_back_and_an_owner_keeps_its_rights(shop: str) -> None:
    with require.declare():
        closed = require.postgres.grants("public", [], database="shop", exact=True)
        owner = require.postgres.grants(
            "owner's", [], database="shop", on="tables", schema="s", exact=True
        )
    assert plan(closed) == Change("revoke CONNECT; revoke TEMPORARY")
    mend(closed)
    assert plan(owner) == NoChange()


def test_rights_wait_for_the_role_and_the_schema(shop: str) -> None:
    with require.declare():
        role = require.postgres.grants("nobody", ["CONNECT"], database="shop")
        schema = require.postgres.grants(
            shop, ["USAGE"], database="shop", on="schema", schema="none"
        )
        elsewhere = require.postgres.grants(shop, ["CONNECT"], database="not there")
    assert plan(role) == Unknown("until there is a role nobody")
    assert plan(schema) == Unknown("until there is a schema none")
    assert plan(elsewhere) == Unknown("until PostgreSQL answers in the database not there")
