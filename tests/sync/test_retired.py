"""What a box had sent that was retired: kept for a month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from common.clock import utc_now
from sync import hangar as hangar_side
from tests.sync.ends import End, add_events, run
from tests.sync.landing import land

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def refresh(hangar: End, days: float) -> None:
    hangar_side.refresh(
        hangar.engine, hangar.settings, clock=lambda: utc_now() + timedelta(days=days)
    )


@pytest.fixture
def retired(aircraft: End, hangar: End) -> Callable[[], list[Path]]:
    """EC-TAA has sent something and is forgotten; gives what is kept of that."""
    run(hangar, "insert into aircraft (name, tower) values ('EC-TAA', 'a')")
    add_events(aircraft, 2)
    land(aircraft, hangar)
    hangar_side.forget(hangar.engine, hangar.settings, "EC-TAA")
    return lambda: list((hangar.settings.sync_dir / "retired").iterdir())


def test_what_a_retired_box_sent_goes_after_thirty_days(
    hangar: End, retired: Callable[[], list[Path]]
) -> None:
    (kept,) = retired()
    assert list(kept.rglob("*.cs"))
    refresh(hangar, days=29)
    assert retired() == [kept]
    refresh(hangar, days=31)
    assert retired() == []


def test_what_staff_put_beside_it_stays(hangar: End, retired: Callable[[], list[Path]]) -> None:
    own = retired()[0].with_name("of-interest")
    own.mkdir()
    refresh(hangar, days=31)
    assert retired() == [own]


def test_what_cannot_be_removed_is_told_and_hinders_nobody(
    hangar: End,
    retired: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("shutil.rmtree", lambda path, ignore_errors: None)
    refresh(hangar, days=31)
    (kept,) = retired()
    assert f"{kept} was to go after 30 days" in caplog.text
