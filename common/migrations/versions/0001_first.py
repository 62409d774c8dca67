"""The first schema: what travels, what stays, and the synchronisation's books."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

JSON = postgresql.JSONB(astext_type=sa.Text())
TEXTS = postgresql.ARRAY(sa.Text())
TEXT, UUID, INT = sa.Text(), sa.UUID(), sa.BigInteger()
TIME = sa.DateTime(timezone=True)
NOW, EMPTY = sa.text("now()"), sa.text("'{}'")

# A user aboard: the canonical row, and over it, field by field, every edit made here that is later
# than the one that won the field at the hangar. Conditions on `id` reach the indexes below.
_FIELD = """
    coalesce((
        select event.value #>> '{{}}' from user_event event
        where event.user_id = known.id and event.field = '{field}'
        and (event.hlc, event.aircraft) > (
            coalesce((settled.clocks -> '{field}' ->> 0)::bigint, -1),
            coalesce(settled.clocks -> '{field}' ->> 1, ''))
        order by event.hlc desc, event.aircraft desc limit 1
    ), settled.{field}, '') as {field}"""
_FIELDS = ",".join(
    _FIELD.format(field=name) for name in ("email", "name", "language", "password_hash")
)
EFFECTIVE_USER = f"""
create view effective_user as
select known.id, {_FIELDS},
    coalesce(settled.version, 0) as version
from (select id from app_user union select user_id from user_event) known
left join app_user settled on settled.id = known.id
"""  # noqa: S608  # the fields are written above


def upgrade() -> None:
    op.execute("create schema sync")
    op.create_table(
        "aircraft",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("tower", TEXT, nullable=False),
        sa.Column("airline", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("last_seen", TIME, nullable=True),
        sa.Column("last_body", JSON, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_aircraft")),
        sa.UniqueConstraint("tower", name=op.f("uq_aircraft_tower")),
    )
    op.create_table(
        "app_user",
        sa.Column("id", UUID, nullable=False),
        sa.Column("email", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("name", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("language", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("password_hash", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("version", INT, server_default=sa.text("0"), nullable=False),
        sa.Column("clocks", JSON, server_default=EMPTY, nullable=False),
        sa.Column("updated_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_user")),
    )
    op.create_index("ix_app_user_lower_email", "app_user", [sa.literal_column("lower(email)")])
    op.create_table(
        "audit",
        sa.Column("id", UUID, nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("what", TEXT, nullable=False),
        sa.Column("detail", JSON, server_default=EMPTY, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_table(
        "heartbeat",
        sa.Column("id", UUID, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("received_at", TIME, server_default=NOW, nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heartbeat")),
    )
    op.create_index("ix_heartbeat_aircraft_received_at", "heartbeat", ["aircraft", "received_at"])
    op.create_table(
        "item",
        sa.Column("id", UUID, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("title", JSON, nullable=False),
        sa.Column("summary", JSON, server_default=EMPTY, nullable=False),
        sa.Column("languages", TEXTS, server_default=EMPTY, nullable=False),
        sa.Column("airlines", TEXTS, server_default=EMPTY, nullable=False),
        sa.Column("destinations", TEXTS, server_default=EMPTY, nullable=False),
        sa.Column("priority", INT, server_default=sa.text("100"), nullable=False),
        sa.Column("valid_from", TIME, nullable=True),
        sa.Column("valid_to", TIME, nullable=True),
        sa.Column("published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", TIME, server_default=NOW, nullable=False),
        sa.CheckConstraint("kind in ('film', 'newspaper')", name=op.f("ck_item_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
    )
    op.create_table(
        "staff",
        sa.Column("id", UUID, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_email")),
    )
    op.create_table(
        "survey",
        sa.Column("id", UUID, nullable=False),
        sa.Column("question", JSON, nullable=False),
        sa.Column("choices", JSON, nullable=False),
        sa.Column("published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey")),
    )
    op.create_table(
        "survey_answer",
        sa.Column("id", UUID, nullable=False),
        sa.Column("survey_id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=True),
        sa.Column("choice", INT, nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_answer")),
    )
    op.create_index(op.f("ix_survey_answer_survey_id"), "survey_answer", ["survey_id"])
    op.create_table(
        "applied",
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("epoch", UUID, nullable=False),
        sa.Column("seq", INT, autoincrement=False, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("rows", INT, nullable=False),
        sa.Column("applied_at", TIME, server_default=NOW, nullable=False),
        sa.Column("ms", INT, nullable=False),
        sa.PrimaryKeyConstraint("peer", "stream", "epoch", "seq", name=op.f("pk_applied")),
        schema="sync",
    )
    op.create_table(
        "batch",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("epoch", UUID, nullable=False),
        sa.Column("seq", INT, autoincrement=False, nullable=False),
        sa.Column("prev_sha256", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("bytes", INT, nullable=False),
        sa.Column("rows", INT, nullable=False),
        sa.Column("schema_version", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("pushed_at", TIME, nullable=True),
        sa.Column("acked_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state in ('sealed', 'published', 'acked')", name=op.f("ck_batch_state")
        ),
        sa.PrimaryKeyConstraint("stream", "epoch", "seq", name=op.f("pk_batch")),
        schema="sync",
    )
    op.create_table(
        "cursor",
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("epoch", UUID, nullable=True),
        sa.Column("seq", INT, server_default=sa.text("0"), nullable=False),
        sa.Column("sha256", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("updated_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("peer", "stream", name=op.f("pk_cursor")),
        schema="sync",
    )
    op.create_table(
        "dirty",
        sa.Column("id", INT, sa.Identity(always=True), nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("tbl", TEXT, nullable=False),
        sa.Column("pk", UUID, nullable=False),
        sa.Column("batch", INT, nullable=True),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dirty")),
        schema="sync",
    )
    op.create_index(
        "ix_dirty_claimed",
        "dirty",
        ["stream", "batch"],
        schema="sync",
        postgresql_where=sa.text("batch is not null"),
    )
    op.create_index(
        "ix_dirty_unclaimed",
        "dirty",
        ["stream", "id"],
        schema="sync",
        postgresql_where=sa.text("batch is null"),
    )
    op.create_table(
        "epoch",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("epoch", UUID, nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_epoch")),
        schema="sync",
    )
    op.create_table(
        "token",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("last_seen", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_token")),
    )
    op.create_index(op.f("ix_token_user_id"), "token", ["user_id"])
    op.create_table(
        "usage_event",
        sa.Column("id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=True),
        sa.Column("item_id", UUID, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("data", JSON, server_default=EMPTY, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("flight", TEXT, server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_event")),
    )
    op.create_table(
        "user_event",
        sa.Column("id", UUID, nullable=False),
        sa.Column("user_id", UUID, nullable=False),
        sa.Column("field", TEXT, nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("hlc", INT, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.CheckConstraint(
            "field in ('email', 'name', 'language', 'password_hash')",
            name=op.f("ck_user_event_field"),
        ),
        sa.CheckConstraint("jsonb_typeof(value) = 'string'", name=op.f("ck_user_event_value")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_event")),
    )
    op.create_index(
        "ix_user_event_email",
        "user_event",
        [sa.literal_column("lower(value #>> '{}')")],
        postgresql_where=sa.text("field = 'email'"),
    )
    op.create_index("ix_user_event_user_id_field_hlc", "user_event", ["user_id", "field", "hlc"])
    op.create_table(
        "work",
        sa.Column("id", UUID, nullable=False),
        sa.Column("aircraft", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, server_default=sa.text("'queued'"), nullable=False),
        sa.Column("reason", TEXT, server_default=sa.text("''"), nullable=False),
        sa.Column("queued_at", TIME, server_default=NOW, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("detail", JSON, server_default=EMPTY, nullable=False),
        sa.CheckConstraint(
            "state in ('queued', 'running', 'done', 'failed')", name=op.f("ck_work_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work")),
    )
    op.create_index("ix_work_aircraft_queued_at", "work", ["aircraft", "queued_at"])
    op.create_table(
        "asset",
        sa.Column("id", UUID, nullable=False),
        sa.Column("item_id", UUID, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("size", INT, nullable=False),
        sa.Column("mime", TEXT, nullable=False),
        sa.CheckConstraint(
            "role in ('poster', 'hls', 'document', 'page')", name=op.f("ck_asset_role")
        ),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_asset_sha256")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_asset_size")),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["item.id"],
            name=op.f("fk_asset_item_id_item"),
            ondelete="CASCADE",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
    )
    op.create_index(op.f("ix_asset_item_id"), "asset", ["item_id"])
    op.execute(EFFECTIVE_USER)
