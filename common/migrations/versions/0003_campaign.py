"""Campaigns, and the landings that their deadlines count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

TEXT, TIME, NOW = sa.Text(), sa.DateTime(timezone=True), sa.text("now()")
COUNT, UUID = sa.BigInteger(), postgresql.UUID(as_uuid=True)
NONE, EMPTY = sa.text("0"), sa.text("''")


def upgrade() -> None:
    op.add_column("aircraft", sa.Column("landings", COUNT, server_default=NONE, nullable=False))
    op.add_column("aircraft", sa.Column("grounded_at", TIME, nullable=True))
    op.create_table(
        "campaign",
        sa.Column("id", UUID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("operator", TEXT, nullable=False),
        sa.Column("plan", postgresql.JSONB(), nullable=False),
        sa.Column("state", TEXT, server_default=sa.text("'running'"), nullable=False),
        sa.Column("reason", TEXT, server_default=EMPTY, nullable=False),
        sa.Column("wave", COUNT, server_default=sa.text("-1"), nullable=False),
        sa.Column("excused", COUNT, server_default=NONE, nullable=False),
        sa.Column("started_at", TIME, server_default=NOW, nullable=False),
        sa.Column("changed_at", TIME, server_default=NOW, nullable=False),
        sa.CheckConstraint(
            "state in ('running', 'paused', 'aborted', 'closed')", name=op.f("ck_campaign_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("name", name=op.f("uq_campaign_name")),
    )
    op.create_table(
        "campaign_aircraft",
        sa.Column("campaign", UUID, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("wave", COUNT, nullable=True),
        sa.Column("state", TEXT, server_default=sa.text("'pending'"), nullable=False),
        sa.Column("reason", TEXT, server_default=EMPTY, nullable=False),
        sa.Column("former", TEXT, nullable=True),
        sa.Column("offered_at", TIME, nullable=True),
        sa.Column("landed", COUNT, server_default=NONE, nullable=False),
        sa.Column("landings", COUNT, server_default=NONE, nullable=False),
        sa.Column("attempts", COUNT, server_default=NONE, nullable=False),
        sa.Column("work", UUID, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state in ('pending', 'confirmed', 'failed', 'left', 'returning', 'rolled_back')",
            name=op.f("ck_campaign_aircraft_state"),
        ),
        sa.ForeignKeyConstraint(
            ["campaign"],
            ["campaign.id"],
            name=op.f("fk_campaign_aircraft_campaign_campaign"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["aircraft"],
            ["aircraft.name"],
            name=op.f("fk_campaign_aircraft_aircraft_aircraft"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign", "aircraft", name=op.f("pk_campaign_aircraft")),
    )
    op.create_index(op.f("ix_campaign_aircraft_aircraft"), "campaign_aircraft", ["aircraft"])
