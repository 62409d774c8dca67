"""Rows that could not be applied, streams that stand still, and columns that are to be asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

TEXT, TIME, NOW = sa.Text(), sa.DateTime(timezone=True), sa.text("now()")
COUNT, EMPTY = sa.BigInteger(), sa.text("''")


def upgrade() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", COUNT, sa.Identity(always=True), nullable=False),
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("epoch", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("seq", COUNT, nullable=False),
        sa.Column("tbl", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("op", TEXT, nullable=False),
        sa.Column("row", postgresql.JSONB(), nullable=False),
        sa.Column("sqlstate", TEXT, nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("attempts", COUNT, server_default=sa.text("1"), nullable=False),
        sa.Column("state", TEXT, server_default=sa.text("'open'"), nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("tried_at", TIME, server_default=NOW, nullable=False),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("decided_by", TEXT, server_default=EMPTY, nullable=False),
        sa.Column("reason", TEXT, server_default=EMPTY, nullable=False),
        sa.CheckConstraint("op in ('U', 'D')", name=op.f("ck_quarantine_op")),
        sa.CheckConstraint(
            "state in ('open', 'superseded', 'resolved', 'dropped')",
            name=op.f("ck_quarantine_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        schema="sync",
    )
    op.create_index(
        "ix_quarantine_open",
        "quarantine",
        ["peer", "stream"],
        schema="sync",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "held",
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("since", TIME, server_default=NOW, nullable=False),
        sa.CheckConstraint("state in ('waiting_schema', 'stopped')", name=op.f("ck_held_state")),
        sa.PrimaryKeyConstraint("peer", "stream", name=op.f("pk_held")),
        schema="sync",
    )
    op.create_table(
        "need",
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("tbl", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("columns", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("since", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("peer", "tbl", name=op.f("pk_need")),
        schema="sync",
    )
