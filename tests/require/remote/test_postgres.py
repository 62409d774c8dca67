"""Roles and databases on a real server."""

from __future__ import annotations

import os
from typing import Any, Protocol

import pytest

import require
from require.remote import postgres
from require.resource import Change, NoChange, Plan, Resource, Unknown

pytestmark = pytest.mark.postgres


class Server(Protocol):
    folder: Any


@pytest.fixture(autouse=True)
def server(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ACCOUNT", "postgres" if os.geteuid() == 0 else "")
    where = {"PGHOST": str(postgres_server.folder), "PGUSER": "postgres"}
    monkeypatch.setattr(postgres, "ENVIRONMENT", where)


def plan(resource: Resource) -> Plan:
    return resource.plan(postgres.probe(resource.question()))


def bring(resource: Resource) -> None:
    spec = {**resource.question(), **resource.order()}
    if isinstance(verifier := spec.get("verifier"), require.Secret):
        spec["verifier"] = verifier.reveal()
    postgres.apply(spec, postgres.probe(resource.question()))


def test_a_role_and_its_database_come_to_be_and_then_are_as_declared() -> None:
    name = "it's \"q\\"
    with require.declare():
        user = require.postgres.user(name=name, password="pä$$wörd'\\", createdb=True)
        database = require.postgres.database(name=f"{name} db", owner=name)
    assert plan(user) == Change("create the role")
    bring(user)
    assert plan(user) == NoChange()
    assert plan(database) == Change(f"create the database, owned by {name}")
    bring(database)
    assert plan(database) == NoChange()


def test_another_password_and_other_rights_are_seen_and_set() -> None:
    with require.declare():
        before = require.postgres.user("changing", password="one", createdb=True)
    with require.declare():
        after = require.postgres.user("changing", password="two")
    bring(before)
    assert plan(after) == Change("createdb no, password")
    bring(after)
    assert plan(after) == NoChange()


def test_the_verifier_is_the_one_that_the_server_itself_makes() -> None:
    with require.declare():
        user = require.postgres.user("native", password="pencil")
    bring(user)
    done = postgres._psql("ALTER ROLE native PASSWORD 'pencil';")
    assert done.code == 0
    assert plan(user) == NoChange()


def test_without_a_server_it_is_not_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ENVIRONMENT", {"PGHOST": "/nowhere"})
    with require.declare():
        database = require.postgres.database("x", owner="x")
    assert plan(database) == Unknown("until PostgreSQL answers")
