"""PostgreSQL: the twin of `require.resources.postgres`. All through psql, as the server's account."""

from __future__ import annotations

import json
import time
from typing import Any

from require.remote import apt
from require.remote.shell import Done, Failed, Refused, run

ACCOUNT = "postgres"
ENVIRONMENT = {"PGCONNECT_TIMEOUT": "5"}
PSQL = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
ROLE = """SELECT json_build_object('exists', true, 'verifier', rolpassword, 'may', json_build_object(
'login', rolcanlogin, 'createdb', rolcreatedb, 'createrole', rolcreaterole, 'superuser', rolsuper))
FROM pg_authid WHERE rolname = {name};"""
DATABASE = """SELECT json_build_object('exists', true, 'owner', pg_get_userbyid(datdba),
'encoding', pg_encoding_to_char(encoding)) FROM pg_database WHERE datname = {name};"""


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at the server, a role or a database.

    Args:
        spec: "verb" server ("names" of packages), user ("name", "password": whether it is
            declared) or database ("name").

    Returns:
        "answers"; for the server "missing" packages; else "exists" and what is there.
    """
    if spec["verb"] == "server":
        missing = apt.probe(spec)["missing"]
        return {"missing": missing, "answers": _ask("SELECT true;") is not None}
    query = ROLE if spec["verb"] == "user" else DATABASE
    found = _ask(query.format(name=literal(spec["name"])) + "SELECT true;")
    if found is None:
        return {"answers": False}
    state: dict[str, Any] = {"answers": True, "exists": False}
    if found.out.startswith("{"):
        state |= json.loads(found.out.splitlines()[0])
    if not spec.get("password"):
        state.pop("verifier", None)
    return state


def _ask(sql: str) -> Done | None:
    """Run a query; None when there is no server to answer it."""
    try:
        done = _psql(sql)
    except (FileNotFoundError, KeyError):
        return None
    if done.code == 2:  # psql's own code for "no connection"
        return None
    return done.check()


def _psql(sql: str) -> Done:
    return run(PSQL, stdin=sql, user=ACCOUNT, env=ENVIRONMENT, timeout_s=120)


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Install and start the server, or make a role or a database what it should be.

    Args:
        spec: the question and, for a user, "verifier" and "may"; for a database "owner",
            "encoding", "locale".
        state: what `probe` saw just now.

    Raises:
        Refused: the server does not answer.
        Failed: with psql's or apt's own words.
    """
    if spec["verb"] == "server":
        _server(state)
        return
    if not state["answers"]:
        raise Refused("PostgreSQL does not answer: declare require.postgres.server()")
    # A statement that fails must not appear in the server's log with a verifier in it.
    sql = "SET log_min_error_statement = panic; SET log_statement = none;\n"
    sql += _user(spec, state) if spec["verb"] == "user" else _database(spec, state)
    _psql(sql).check()


def _server(state: dict[str, Any]) -> None:
    apt.install(state["missing"])
    if _ask("SELECT true;") is not None:
        return
    run(["systemctl", "enable", "--now", "postgresql.service"], timeout_s=180).check()
    end = time.monotonic() + 60
    while _ask("SELECT true;") is None:
        if time.monotonic() > end:
            raise Failed("PostgreSQL was started and did not answer in 60 s: see pg_lsclusters")
        time.sleep(0.2)


def _user(spec: dict[str, Any], state: dict[str, Any]) -> str:
    words = [name.upper() if may else f"NO{name.upper()}" for name, may in spec["may"].items()]
    if spec["verifier"] is not None:
        words.append(f"PASSWORD {literal(spec['verifier'])}")
    verb = "ALTER" if state["exists"] else "CREATE"
    return f"{verb} ROLE {identifier(spec['name'])} {' '.join(words)};"


def _database(spec: dict[str, Any], state: dict[str, Any]) -> str:
    name, owner = identifier(spec["name"]), identifier(spec["owner"])
    if state["exists"]:
        return f"ALTER DATABASE {name} OWNER TO {owner};"
    encoding, locale = literal(spec["encoding"]), literal(spec["locale"])
    return (
        f"CREATE DATABASE {name} OWNER {owner} ENCODING {encoding} LOCALE {locale} "
        "TEMPLATE template0;"
    )


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL, whatever the server thinks of backslashes."""
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{quoted}'" if "\\" in text else f"'{quoted}'"
