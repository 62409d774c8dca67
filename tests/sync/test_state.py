"""What an aircraft says of histories that it left, and what the hangar makes of a word that is none."""

from __future__ import annotations

import pytest

from sync import changeset, files, seal, state
from tests.sync.ends import End, add_events

pytestmark = pytest.mark.postgres


def test_no_more_histories_are_told_than_a_heartbeat_may_have(
    aircraft: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "FORMER", 2)
    add_events(aircraft, 1)
    seal.seal_all(aircraft.engine, aircraft.settings)
    folders = [files.former(aircraft.settings) / "use" / f"{n:08x}" for n in range(4)]
    for folder in folders:
        folder.mkdir(parents=True)
    for folder in folders[1:]:
        (folder / changeset.file_name(7)).touch()
    told = state.local_state(aircraft.engine, aircraft.settings)["up"]["use"]["former"]
    assert told == {"00000001": 7, "00000002": 7}


def test_a_history_of_a_name_that_none_has_is_due(hangar: End) -> None:
    (files.inbox(hangar.settings, "EC-TAA") / "use").mkdir(parents=True)
    body = {"up": {"use": {"former": {"a" * 300: 5}}}}
    assert "up" in state.due(hangar.engine, hangar.settings, "EC-TAA", body).names
