"""Where each aircraft flies to and which languages it carries: what content it is sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

TEXTS, NONE = postgresql.ARRAY(sa.Text()), sa.text("'{}'")


def upgrade() -> None:
    for name in ("destinations", "languages"):
        op.add_column("aircraft", sa.Column(name, TEXTS, server_default=NONE, nullable=False))
