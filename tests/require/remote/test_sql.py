"""What PostgreSQL is asked and told, as text; `test_postgres` has a server."""

from __future__ import annotations

import json

from require.remote import postgres, psql
from tests.require.remote.programs import Programs


def test_names_and_texts_are_quoted_for_sql() -> None:
    assert psql.identifier('a"; DROP') == '"a""; DROP"'
    assert psql.literal("it's") == "'it''s'"
    assert psql.literal("a\\'b") == "E'a\\\\''b'"


def test_a_server_that_does_not_answer_is_no_failure(programs: Programs) -> None:
    programs.answer = lambda argv, stdin: (2, "", "psql: error: connection failed")
    assert postgres.probe({"database": "x", "sql": "SELECT 1"}) == {"answers": False}


def test_a_verifier_is_on_the_input_only_and_kept_out_of_the_servers_log(
    programs: Programs,
) -> None:
    spec = {"verb": "user", "name": "cms", "options": "LOGIN", "member_of": ["readers"]}
    spec |= {"database": "postgres", "verifier": "SCRAM-SHA-256$x"}
    postgres.apply(spec, {"answers": True, "exists": False})
    assert "SCRAM" not in json.dumps(programs.started)
    *before, create, join = programs.stdin[0].splitlines()
    for setting in (
        "log_min_error_statement = panic",
        "log_statement = none",
        "track_activities = off",
    ):
        assert f"SET {setting};" in before
    assert create == "CREATE ROLE \"cms\" LOGIN PASSWORD 'SCRAM-SHA-256$x';"
    assert join == 'GRANT "readers" TO "cms";'
