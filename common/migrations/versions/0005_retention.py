"""Payments, gaps in the statistics, and changed keys recorded without an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

TEXT, TIME, NOW = sa.Text(), sa.DateTime(timezone=True), sa.text("now()")
COUNT, UUID, EMPTY = sa.BigInteger(), postgresql.UUID(as_uuid=True), sa.text("''")


def upgrade() -> None:
    op.create_table(
        "payment",
        sa.Column("id", UUID, nullable=False),
        sa.Column("order_id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("amount_minor", COUNT, nullable=False),
        sa.Column("currency", sa.CHAR(3), nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("flight", TEXT, server_default=EMPTY, nullable=False),
        sa.Column("data", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("kind in ('charge', 'refund')", name=op.f("ck_payment_kind")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_amount_minor")),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_payment_currency")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
    )
    op.create_index(op.f("ix_payment_order_id"), "payment", ["order_id"])
    op.create_table(
        "usage_gap",
        sa.Column("id", UUID, nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("events", COUNT, nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.CheckConstraint("events > 0 and first_at <= last_at", name=op.f("ck_usage_gap_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_gap")),
    )
    # Keeping these in order was half of what recording a changed key cost.
    op.drop_index("ix_dirty_unclaimed", table_name="dirty", schema="sync")
    op.drop_constraint("pk_dirty", "dirty", schema="sync")
