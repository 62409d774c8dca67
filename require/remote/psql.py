"""psql, as the server's own account: how every part of the noun postgres asks and tells."""

from __future__ import annotations

from require.remote.shell import Done, run

ACCOUNT = "postgres"
ENVIRONMENT = {"PGCONNECT_TIMEOUT": "5", "PGCLIENTENCODING": "UTF8"}
PSQL = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
NO_CONNECTION = (1, 2)  # Debian's wrapper found no cluster; psql found nobody
# Nobody's functions stand in for the server's own, and what may hold a verifier is in no log.
QUIETLY = """SET search_path = pg_catalog;
SET log_statement = none;
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET log_transaction_sample_rate = 0;
SET track_activities = off;
SET pg_stat_statements.track_utility = off;
SET pgaudit.log = none;
"""


def asked(sql: str, database: str = "postgres") -> Done | None:
    """Run a script; None when there is no such server, or it does not let us into the database.

    Args:
        sql: statements, and psql's own commands.
        database: its name.
    """
    # A script whose connection breaks later ends in the same way: what it did is looked at again.
    try:
        done = _run(sql, database)
    except (FileNotFoundError, KeyError):
        return None
    return None if done.code in NO_CONNECTION else done


def told(sql: str, database: str = "postgres") -> str:
    """Run statements and return what they print.

    Raises:
        Failed: with psql's own words, or the server went away.
    """
    return _run(QUIETLY + sql, database).check().out.strip()


def silence() -> str:
    """Return "" when the server answers, else what psql or Debian's wrapper of it says."""
    try:
        done = _run("SELECT true;", "postgres")
    except (FileNotFoundError, KeyError) as error:
        return str(error)
    return "" if done.code == 0 else done.err.strip() or "nothing"


def _run(sql: str, database: str) -> Done:
    # The database is no argument: psql would take a name with "=" apart.
    environment = {**ENVIRONMENT, "PGDATABASE": database}
    return run(PSQL, stdin=sql, timeout_s=600, user=ACCOUNT, env=environment)


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL, whatever the server thinks of backslashes."""
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{quoted}'" if "\\" in text else f"'{quoted}'"
