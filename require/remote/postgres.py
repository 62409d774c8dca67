"""PostgreSQL: the twin of `require.resources.postgres`. All through psql, as the server's account.

A resource brings its own query, so that a look carries only those that are declared. They are asked
together, with one psql for each database.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from require.remote import apt, postgres_files, postgres_server
from require.remote.psql import asked, identifier, literal, told
from require.remote.shell import Failed, Refused

_seen: dict[str, dict[str, Any]] = {}


def prefetch(specs: Sequence[dict[str, Any]]) -> None:
    """Ask each database once for all resources of this look."""
    queries: dict[str, list[str]] = {}
    for spec in specs:
        queries.setdefault(spec["database"], []).append(spec["sql"])
    for database, several in queries.items():
        _seen[database] = _ask(database, several)


def _ask(database: str, queries: Sequence[str]) -> dict[str, Any]:
    """Return the answers by query, and under "" what psql had to say; nothing without a server."""
    script = "\\set ON_ERROR_STOP 0\nSET search_path = pg_catalog;\n"
    script += "".join(f"\\echo {number}\n{sql};\n" for number, sql in enumerate(queries))
    done = asked(script, database)
    if done is None:
        return {}
    found: dict[str, Any] = {"": done.err}
    query = ""
    for line in done.out.splitlines():
        if line.isdigit():
            query = queries[int(line)]
        else:
            found[query] = json.loads(line)
    return found


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at one resource.

    Args:
        spec: "database" and "sql", a query for one JSON object; for the server also "names" of
            packages.

    Returns:
        "answers": whether the server does, in that database; what the query found; for the server
        "missing" packages.

    Raises:
        Failed: the server does not take the query.
    """
    found = _seen.get(spec["database"])
    if found is None or (found and spec["sql"] not in found):
        found = _ask(spec["database"], [spec["sql"]])
    state = {"missing": apt.probe(spec)["missing"]} if "names" in spec else {}
    if not found:
        return {**state, "answers": False}
    if spec["sql"] not in found:
        raise Failed(found[""].strip()[-1000:])
    return {**state, "answers": True, **found[spec["sql"]]}


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Make a resource what it should be.

    Args:
        spec: the question and "verb": server, settings, hba, user, database or sql, with what that
            one needs.
        state: what `probe` saw just now.

    Raises:
        Refused: the server does not answer, or something that this one needs is not there.
        Failed: with psql's, apt's or the server's own words.
    """
    verb = spec["verb"]
    if verb == "server":
        postgres_server.apply(spec, state)
        return
    if not state["answers"]:
        raise Refused(
            f"PostgreSQL does not answer in the database {spec['database']}: declare "
            "require.postgres.server() and that database"
        )
    if state.get("waits"):
        raise Refused(f"there is no {state['waits']} yet")
    if verb == "settings":
        postgres_files.settings(spec, state)
    elif verb == "hba":
        postgres_files.hba(spec, state)
    else:
        told(
            {"user": _user, "database": _database, "sql": _sql}[verb](spec, state), spec["database"]
        )


def _user(spec: dict[str, Any], state: dict[str, Any]) -> str:
    name, options = identifier(spec["name"]), spec["options"]
    if spec["verifier"] is not None:
        options += f" PASSWORD {literal(spec['verifier'])}"
    sql = f"{'ALTER' if state['exists'] else 'CREATE'} ROLE {name} {options};\n"
    for group in spec["member_of"]:
        if group not in state.get("member_of", ()):
            sql += f"GRANT {identifier(group)} TO {name};\n"
    return sql


def _database(spec: dict[str, Any], state: dict[str, Any]) -> str:
    name, owner = identifier(spec["name"]), identifier(spec["owner"])
    if state["exists"]:
        return f"ALTER DATABASE {name} OWNER TO {owner};"
    return f"CREATE DATABASE {name} OWNER {owner} {spec['options']};"


def _sql(spec: dict[str, Any], state: dict[str, Any]) -> str:
    sql: str = spec["script"]
    return sql
