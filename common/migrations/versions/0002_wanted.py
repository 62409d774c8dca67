"""Configurations that wait at the hangar for aircraft out of reach."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT, TIME, NOW = sa.Text(), sa.DateTime(timezone=True), sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "configuration",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("revision", TEXT, nullable=False),
        sa.Column("archive", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_configuration")),
    )
    op.create_table(
        "wanted",
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("configuration", TEXT, nullable=False),
        sa.Column("operator", TEXT, nullable=False),
        sa.Column("queued_at", TIME, server_default=NOW, nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", TEXT, server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(
            ["aircraft"],
            ["aircraft.name"],
            name=op.f("fk_wanted_aircraft_aircraft"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["configuration"],
            ["configuration.digest"],
            name=op.f("fk_wanted_configuration_configuration"),
        ),
        sa.PrimaryKeyConstraint("aircraft", name=op.f("pk_wanted")),
    )
    op.create_index(op.f("ix_wanted_configuration"), "wanted", ["configuration"])
