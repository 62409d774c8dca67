"""How old the hangar's backup is, as `fab status` is told it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from hangar_app.backup import Backup, look

pytestmark = pytest.mark.postgres


def test_a_hangar_without_the_role_has_none(session: Session, tmp_path: Path, clock) -> None:
    assert look(session, tmp_path, clock()) is None


def test_what_was_kept_is_so_old_and_what_never_was_is_none(
    session: Session, tmp_path: Path, clock
) -> None:
    (tmp_path / "backup").mkdir()
    assert look(session, tmp_path, clock()) == Backup(None, None, 0)
    at: datetime = clock()
    (tmp_path / "backup" / "files").write_text(f"{at:%Y-%m-%dT%H:%M:%SZ}\n")
    clock.advance(minutes=7)
    assert look(session, tmp_path, clock()) == Backup(None, 420, 0)
