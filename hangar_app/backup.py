"""How old the hangar's backup is: when each part was kept, and how long WAL waits for the other place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

FOLDER = "backup"  # in the state directory, written by the role's script
# What the server writes of itself when nobody does anything; nobody misses it.
IDLE_BYTES = 4096


@dataclass(frozen=True)
class Backup:
    """Seconds since each part was kept, None for never; `wal_s`: how long WAL waits, 0 when none does."""

    database_s: int | None
    files_s: int | None
    wal_s: int | None


def look(session: Session, state_dir: Path, now: datetime) -> Backup | None:
    """Returns how the backup is; None where this hangar has none.

    Args:
        session: may ask for the archiver's statistics, as everybody may.
        state_dir: the hangar's.
        now: time with zone.
    """
    folder = state_dir / FOLDER
    if not folder.is_dir():
        return None
    waits, last = session.execute(
        text(
            "select (pg_current_wal_insert_lsn() - '0/0') - coalesce(sync.archived(), 0) > :idle, "
            "last_archived_time from pg_stat_archiver"
        ),
        {"idle": IDLE_BYTES},
    ).one()
    return Backup(
        _since(folder / "database", now),
        _since(folder / "files", now),
        0 if not waits else None if last is None else int((now - last).total_seconds()),
    )


def _since(path: Path, now: datetime) -> int | None:
    try:
        at = datetime.fromisoformat(path.read_text().strip())
    except FileNotFoundError:
        return None
    return int((now - at).total_seconds())
