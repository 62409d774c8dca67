"""Accounts are joined to an account: the null of JSON is none, and the check let it pass."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

VALUE = """
case field
    when 'consent' then jsonb_typeof(value) = 'object' and (
        jsonb_typeof(value -> 'purpose'), jsonb_typeof(value -> 'given'),
        jsonb_typeof(value -> 'after')) is not distinct from ('string', 'boolean', 'array')
    when 'same' then jsonb_typeof(value) = 'string'
        and value #>> '{}' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    else jsonb_typeof(value) = 'string'
end"""

NO_ACCOUNT = sa.text(
    "select exists (select from user_event where field = 'same' and jsonb_typeof(value) = 'null')"
)


def upgrade() -> None:
    # Where there is such a row it stays, aboard until it is acknowledged: it keeps no release out.
    there = op.get_bind().scalar(NO_ACCOUNT)
    op.drop_constraint(op.f("ck_user_event_value"), "user_event")
    op.create_check_constraint(
        op.f("ck_user_event_value"), "user_event", VALUE, postgresql_not_valid=there
    )
