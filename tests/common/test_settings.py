"""Settings come from the environment, and what is missing is said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    Settings.load.cache_clear()
    yield
    Settings.load.cache_clear()


def test_a_host_is_described_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNAROUND_NODE", "EC-TAA")
    monkeypatch.setenv("TURNAROUND_ROLE", "aircraft")
    monkeypatch.setenv("TURNAROUND_STATE_DIR", "/srv/state")
    settings = Settings.load()
    assert settings.sync_dir == Path("/srv/state/sync")
    assert settings.content_dir == Path("/srv/state/content")
    assert Settings.load() is settings


def test_everything_that_is_missing_or_wrong_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TURNAROUND_NODE", raising=False)
    monkeypatch.setenv("TURNAROUND_ROLE", "balloon")
    monkeypatch.setenv("TURNAROUND_DATABASE_URL", "postgresql:///turnaround")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    for expected in ("TURNAROUND_NODE", "TURNAROUND_ROLE", "TURNAROUND_DATABASE_URL", "app.env"):
        assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["", "../etc", "EC TAA", "-n", "a" * 40])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no host's name"):
        Settings(node=name, role="aircraft")


def test_a_secret_key_that_is_missing_or_short_is_refused(tmp_path: Path) -> None:
    settings = Settings(node="EC-TAA", role="aircraft", secret_key_file=tmp_path / "key")
    with pytest.raises(SettingsError, match="cannot read the secret key"):
        settings.secret_key()
    settings.secret_key_file.write_text("short")
    with pytest.raises(SettingsError, match="holds 5 characters"):
        settings.secret_key()
