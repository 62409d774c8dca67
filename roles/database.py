"""PostgreSQL on a small box that loses power: what is committed is on the disk, and all else is bounded."""

from __future__ import annotations

import require
from roles.context import Context

_Settings = dict[str, str | int | float | bool]
# What a power cut must not cost. They are PostgreSQL's own defaults; here nobody changes them unseen.
_SAFE: _Settings = {
    "fsync": True,
    "full_page_writes": True,
    "synchronous_commit": True,
    "wal_compression": "lz4",
    # Nobody connects from elsewhere, so nobody is listened for.
    "listen_addresses": "",
}
# What one statement or one forgotten session may cost the others. A change-set of 10⁵ rows is applied
# in one transaction and a synchronisation holds locks while it writes files, so these bounds are
# minutes: they end what is stuck, not what is slow. pg_dump and autovacuum lift them for themselves.
_PATIENCE: _Settings = {
    "statement_timeout": "15min",
    "lock_timeout": "2min",
    "idle_in_transaction_session_timeout": "15min",
    "temp_file_limit": "1GB",
}
# What a statement carries can be a passenger's: the log has no statement and no row. PostgreSQL's own
# first words may still quote a value that it could not read.
_LOG: _Settings = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": 0,
    "log_min_duration_statement": -1,
    "log_statement": "none",
    "log_lock_waits": True,
    "log_checkpoints": True,
    "log_temp_files": "16MB",
}
# Tables are small and some of their rows change all the time: by default dead rows of a table of a
# thousand wait until they are a quarter of it.
_VACUUM: _Settings = {
    "autovacuum_vacuum_scale_factor": 0.05,
    "autovacuum_analyze_scale_factor": 0.05,
    "autovacuum_max_workers": 2,
}


def apply(host: Context) -> None:
    """Declares the server, its settings and who may connect, for the size that the inventory says."""
    require.postgres.server(checksums=True)
    buffers = host.vars.text("postgres_buffers", "128MB")
    wal = host.vars.text("postgres_wal_max", "1GB")
    require.postgres.settings(
        {
            **_SAFE,
            "shared_buffers": buffers,
            "effective_cache_size": host.vars.text("postgres_cache", "512MB"),
            "work_mem": "8MB",
            "maintenance_work_mem": "64MB",
            "max_connections": host.vars.text("postgres_connections", "100"),
            # A cut costs the replay of so much at most; a disk that fills costs more.
            "max_wal_size": wal,
            "min_wal_size": "80MB",
            "checkpoint_timeout": "5min",
            "checkpoint_completion_target": 0.9,
            # On flash a page elsewhere costs hardly more than the next one.
            "random_page_cost": 1.1,
            "jit": False,
            **_PATIENCE,
            **_LOG,
            **_VACUUM,
        }
    )
    require.postgres.hba(
        [
            "local all postgres peer",
            "local replication postgres peer",
            "local turnaround turnaround peer",
        ]
    )
    require.postgres.user(name="turnaround")
    require.postgres.database(name="turnaround", owner="turnaround")
