"""`/health`: which revision this is, and whether its database, schema and catalogue are there."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

__all__ = ["blueprint", "revision", "schema_version"]

log = logging.getLogger(__name__)


def revision(release: Path = Path(sys.prefix)) -> str:
    """Return the revision of a release, '' when it is none; this process runs in its own.

    >>> revision(Path("/opt/turnaround/current/onboard"))  # doctest: +SKIP
    '05b9b0f1a2c305b9b0f1a2c305b9b0f1a2c305b9b'
    """
    try:
        manifest = json.loads((release / "manifest.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(manifest.get("revision", "")) if isinstance(manifest, dict) else ""


def schema_version(engine: Engine) -> str:
    """Return the migration that the database is at (`0001`), '' when it was never migrated."""
    with engine.connect() as connection:
        if connection.scalar(text("select to_regclass('public.alembic_version')")) is None:
            return ""
        return connection.scalar(text("select version_num from alembic_version")) or ""


def schema_versions() -> tuple[str, ...]:
    """Return the schema versions that this code knows: its own, the older ones, '' for an empty one.

    One that is not among them was made by a newer release, and migrations only expand.
    """
    # Alembic costs a process 8 MB; only those that answer /health pay for it.
    from alembic.script import ScriptDirectory

    from common import migrate

    scripts = ScriptDirectory.from_config(migrate.config())
    return (*(one.revision for one in scripts.walk_revisions()), "")


def blueprint(
    engine: Engine, catalogue: Callable[[], object], release: Path = Path(sys.prefix)
) -> Blueprint:
    """Return the blueprint with `/health`; 200 when healthy, 503 when not, the same JSON in both.

    Arguments: `catalogue` returns what the host knows of its catalogue (a version, a number of items)
    and may raise; `release` is the one that this process runs.
    """
    # Of its own environment, whatever is current: it is asked before it becomes that.
    own = revision(release)
    expected, *older = schema_versions()
    health = Blueprint("health", __name__)

    @health.get("/health")
    def show() -> ResponseReturnValue:
        body: dict[str, object] = {"healthy": True, "revision": own, "catalogue": None}
        try:
            body["schema"] = found = schema_version(engine)
            if found in older:
                raise ValueError(
                    f"the database's schema is {found or 'none'}, expected {expected} or newer; run "
                    "sync.setup of this release"
                )
            body |= {"database": "ok", "catalogue": catalogue()}
        except (SQLAlchemyError, OSError, ValueError) as error:
            log.error("not healthy: %s", error)
            body |= {"healthy": False, "schema": body.get("schema", ""), "database": "failed"}
        return jsonify(body), 200 if body["healthy"] else 503

    return health
