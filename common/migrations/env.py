"""How Alembic reaches the database: on the connection that `common.migrate` gives it."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("target_metadata"),
    include_schemas=True,
    compare_server_default=False,
)
context.run_migrations()
