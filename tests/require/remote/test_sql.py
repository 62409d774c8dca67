"""What PostgreSQL is asked and told, as text; `test_postgres` has a server."""

from __future__ import annotations

import json

from require.remote import postgres
from tests.require.remote.programs import Programs


def test_names_and_texts_are_quoted_for_sql() -> None:
    assert postgres.identifier('a"; DROP') == '"a""; DROP"'
    assert postgres.literal("it's") == "'it''s'"
    assert postgres.literal("a\\'b") == "E'a\\\\''b'"


def test_a_server_that_does_not_answer_is_no_failure(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (2, "", "psql: error: connection failed")
    assert postgres.probe({"verb": "user", "name": "x", "password": True}) == {"answers": False}
    assert postgres.probe({"verb": "database", "name": "x"}) == {"answers": False}


def test_a_verifier_is_on_the_input_only_and_kept_out_of_the_servers_log(
    programs: Programs,
) -> None:
    may = {"login": True, "createdb": False, "createrole": False, "superuser": False}
    spec = {"verb": "user", "name": "cms", "verifier": "SCRAM-SHA-256$x", "may": may}
    postgres.apply(spec, {"answers": True, "exists": False})
    assert "SCRAM" not in json.dumps(programs.started)
    lines = programs.stdin[0].splitlines()
    assert lines[0].startswith("SET log_min_error_statement = panic")
    assert lines[1] == (
        "CREATE ROLE \"cms\" LOGIN NOCREATEDB NOCREATEROLE NOSUPERUSER PASSWORD 'SCRAM-SHA-256$x';"
    )
