"""Accounts that are one person's, clocks that were ahead, consent, and being forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

TEXT, UUID, INT = sa.Text(), sa.UUID(), sa.BigInteger()
TIME = sa.DateTime(timezone=True)

KINDS = "'email', 'name', 'language', 'password_hash', 'consent', 'same', 'erase'"
VALUE = """
case field
    when 'consent' then jsonb_typeof(value) = 'object' and (
        jsonb_typeof(value -> 'purpose'), jsonb_typeof(value -> 'given'),
        jsonb_typeof(value -> 'after')) is not distinct from ('string', 'boolean', 'array')
    when 'same' then value #>> '{}' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    else jsonb_typeof(value) = 'string'
end"""

# A user aboard: the canonical row, and over it, field by field, every edit made here that is later
# than the one that won the field at the hangar. All accounts of one person show that person, each with
# its own password. Whoever is erased, or has asked for it here, is not there. Conditions on `id` reach
# the indexes.
_FIELD = """
    coalesce((
        select event.value #>> '{{}}'
        from user_event event left join user_clamp clamp on clamp.id = event.id
        where event.user_id = any({accounts}) and event.field = '{field}'
        and (coalesce(clamp.reading, event.hlc), event.aircraft, event.hlc) > (
            coalesce(({settled}.clocks -> '{field}' ->> 0)::bigint, -1),
            coalesce({settled}.clocks -> '{field}' ->> 1, ''),
            coalesce({settled}.clocks -> '{field}' ->> 2, {settled}.clocks -> '{field}' ->> 0)::bigint)
        order by coalesce(clamp.reading, event.hlc) desc, event.aircraft desc, event.hlc desc limit 1
    ), {settled}.{field}, '') as {field}"""
_SHARED = ",".join(
    _FIELD.format(field=name, accounts="person.accounts", settled="settled")
    for name in ("email", "name", "language")
)
_SECRET = _FIELD.format(field="password_hash", accounts="array[known.id]", settled="own")
EFFECTIVE_USER = f"""
create or replace view effective_user as
select known.id, {_SHARED}, {_SECRET},
    coalesce(settled.version, 0) as version, person.canonical
from (select id from app_user union select user_id from user_event) known
left join user_alias alias on alias.id = known.id
cross join lateral (
    select coalesce(alias.canonical, known.id) as canonical,
    array(select a.id from user_alias a where a.canonical = coalesce(alias.canonical, known.id))
    || coalesce(alias.canonical, known.id) as accounts
) person
left join app_user settled on settled.id = person.canonical
left join app_user own on own.id = known.id
where not coalesce(settled.erased, false) and not exists (
    select from user_event wish where wish.user_id = any(person.accounts) and wish.field = 'erase')
"""  # noqa: S608  # the fields are written above


def upgrade() -> None:
    op.add_column(
        "app_user",
        sa.Column("erased", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index("ix_app_user_erased", "app_user", ["id"], postgresql_where=sa.text("erased"))
    op.add_column("token", sa.Column("secret", sa.LargeBinary(length=32), nullable=True))
    for name in ("usage_event", "survey_answer"):
        op.create_index(
            f"ix_{name}_user_id",
            name,
            ["user_id"],
            postgresql_where=sa.text("user_id is not null"),
        )
    op.drop_constraint(op.f("ck_user_event_field"), "user_event")
    op.create_check_constraint(op.f("ck_user_event_field"), "user_event", f"field in ({KINDS})")
    op.drop_constraint(op.f("ck_user_event_value"), "user_event")
    op.create_check_constraint(
        op.f("ck_user_event_value"),
        "user_event",
        VALUE,
    )
    op.create_table(
        "user_alias",
        sa.Column("id", UUID, nullable=False),
        sa.Column("canonical", UUID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_alias")),
    )
    op.create_index(op.f("ix_user_alias_canonical"), "user_alias", ["canonical"])
    op.create_table(
        "user_clamp",
        sa.Column("id", UUID, nullable=False),
        sa.Column("reading", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_clamp")),
    )
    op.create_table(
        "user_consent",
        sa.Column("id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("after", postgresql.ARRAY(TEXT), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_consent")),
    )
    op.create_index(op.f("ix_user_consent_user_id"), "user_consent", ["user_id"])
    op.create_table(
        "user_merge_log",
        sa.Column("id", UUID, nullable=False),
        sa.Column("at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("field", TEXT, nullable=False),
        sa.Column("winner", TEXT, nullable=False),
        sa.Column("loser", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_merge_log")),
    )
    op.create_index(op.f("ix_user_merge_log_at"), "user_merge_log", ["at"])
    op.create_index(op.f("ix_user_merge_log_user_id"), "user_merge_log", ["user_id"])
    op.execute(EFFECTIVE_USER)
