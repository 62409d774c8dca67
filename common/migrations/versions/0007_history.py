"""Which database a history is of, which histories of a peer were followed, and snapshots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

TEXT, UUID, COUNT = sa.Text(), postgresql.UUID(as_uuid=True), sa.BigInteger()
TIME, NOW = sa.DateTime(timezone=True), sa.text("now()")
GENESIS = "0" * 64
STATES = {
    "batch": ("sealed", "published", "acked", "left"),
    "held": ("waiting_schema", "stopped", "diverged"),
}


def upgrade() -> None:
    for column in (
        sa.Column("node", TEXT, nullable=True),
        sa.Column("database", TEXT, nullable=True),
        sa.Column("follows", UUID, nullable=True),
        sa.Column("base", TEXT, server_default=GENESIS, nullable=False),
    ):
        op.add_column("epoch", column, schema="sync")
    op.add_column("batch", sa.Column("live", COUNT, nullable=True), schema="sync")
    for table, states in STATES.items():
        op.drop_constraint(op.f(f"ck_{table}_state"), table, schema="sync")
        op.create_check_constraint(
            op.f(f"ck_{table}_state"),
            table,
            f"state in ({', '.join(repr(state) for state in states)})",
            schema="sync",
        )
    op.add_column(
        "cursor",
        sa.Column("former", postgresql.ARRAY(UUID), server_default="{}", nullable=False),
        schema="sync",
    )
    op.execute(
        "update sync.cursor c set former = array(select distinct a.epoch from sync.applied a "
        "where (a.peer, a.stream) = (c.peer, c.stream) and a.epoch <> c.epoch)"
    )
    op.create_table(
        "snapshot",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("epoch", UUID, nullable=False),
        sa.Column("seq", COUNT, autoincrement=False, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("bytes", COUNT, nullable=False),
        sa.Column("rows", COUNT, nullable=False),
        sa.Column("schema_version", TEXT, nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("stream", "epoch", "seq", name=op.f("pk_snapshot")),
        schema="sync",
    )
