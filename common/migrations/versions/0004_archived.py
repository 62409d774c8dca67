"""How far the books of synchronisation were archived, and which history of the database they belong to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# How far the WAL is archived, in bytes from its beginning; null where that is not known. The name of a
# segment is its timeline, then its number, in 8 and 16 hexadecimal digits. Segments are archived one
# after the other, so the last one's name says it all; a backup's begins with the segment it began in,
# which lies before.
_ARCHIVED = r"""
create function sync.archived() returns bigint language sql stable as $$
    select case
        when current_setting('archive_mode') = 'off' then 9223372036854775807
        when last_archived_wal ~ '^[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?$'
        then ('x' || substr(last_archived_wal, 9, 8))::bit(32)::bigint * 4294967296
            + (('x' || substr(last_archived_wal, 17, 8))::bit(32)::bigint + 1)
              * pg_size_bytes(current_setting('wal_segment_size'))
    end from pg_stat_archiver
$$;
"""


def upgrade() -> None:
    op.add_column("epoch", sa.Column("timeline", sa.Text(), nullable=True), schema="sync")
    op.add_column("applied", sa.Column("wal", sa.BigInteger(), nullable=True), schema="sync")
    op.create_index(
        "ix_applied_unmarked",
        "applied",
        ["peer"],
        schema="sync",
        postgresql_where=sa.text("wal is null"),
    )
    op.execute(_ARCHIVED)
