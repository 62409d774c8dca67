"""What a command said of each host is kept, privately, for the last runs; and never stands in its way."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.errors import Exit
from fleet.inventory import Inventory
from fleet.report import JsonReporter, Outcome, PlainReporter, reporter
from fleet.runlog import KEPT, Logged, RunLog

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A second passes each time that it is looked at."""
    seconds = iter(range(1000))
    return lambda: NOON + timedelta(seconds=next(seconds))


def test_each_host_has_its_file_with_times_and_whole_diffs(
    tmp_path: Path, clock: Callable[[], datetime]
) -> None:
    log = RunLog(tmp_path / "logs", "converge", "lab", clock)
    shown = io.StringIO()
    kept = Logged(PlainReporter(shown, log=lambda: log.place), log)
    kept.progress("EC-TAA", "probe 0/3")
    kept.done(
        Outcome(
            "EC-TAA", Exit.FAILED, "failed", "1 of 3", "free some", ("short",), {"trips": 8},
            ("- old", "+ new", "error: no disk"),
        )
    )  # fmt: skip
    kept.close()
    assert re.fullmatch(r"20261125T120000Z-converge-[0-9a-f]{4}", log.folder.name)
    assert (log.folder / "EC-TAA.log").read_text().splitlines() == [
        "2026-11-25T12:00:01Z probe 0/3",
        "2026-11-25T12:00:02Z failed: 1 of 3",
        "    - old",
        "    + new",
        "    error: no disk",
        "    → free some",
    ]
    summary = json.loads((log.folder / "summary.json").read_text())
    assert (summary["command"], summary["fleet"], summary["exit"]) == ("converge", "lab", 4)
    assert (summary["began"], summary["ended"]) == ("2026-11-25T12:00:00Z", "2026-11-25T12:00:03Z")
    assert summary["hosts"][0]["trips"] == 8
    assert shown.getvalue().splitlines()[-1] == f"log: {log.folder}"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "state/turnaround/lab", "sync", "lab")
    log.done(Outcome("EC-TAA"))
    folders = [log.folder, *log.folder.parents][:4]
    assert {each.stat().st_mode & 0o777 for each in folders} == {0o700}
    assert (log.folder / "EC-TAA.log").stat().st_mode & 0o777 == 0o600


def test_the_last_runs_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for number in range(KEPT + 2):
        (tmp_path / f"20261124T12{number:04}Z-deploy-hangar-00ff").mkdir()
    log = RunLog(tmp_path, "drift", "lab")
    log.done(Outcome("EC-TAA"))
    runs = sorted(each.name for each in tmp_path.iterdir() if each.name != "notes")
    assert len(runs) == KEPT
    assert runs[0] == "20261124T120003Z-deploy-hangar-00ff"
    assert runs[-1] == log.folder.name
    assert (tmp_path / "notes").is_dir()


def test_a_log_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder belongs")
    warned: list[str] = []
    log = RunLog(tmp_path / "logs", "converge", "lab", warn=warned.append)
    shown = io.StringIO()
    kept = Logged(PlainReporter(shown, log=lambda: log.place), log)
    kept.progress("EC-TAA", "probe 0/3")
    kept.done(Outcome("EC-TAA", status="changed"))
    kept.close()
    assert shown.getvalue() == "EC-TAA: changed\n"
    assert len(warned) == 1
    assert "TURNAROUND_LOGS" in warned[0]


def test_nothing_is_written_before_a_host_has_something_to_say(tmp_path: Path) -> None:
    RunLog(tmp_path / "logs", "converge", "lab")
    assert not (tmp_path / "logs").exists()


def test_json_names_the_log_where_it_is_in_nobodys_way(capsys: pytest.CaptureFixture[str]) -> None:
    show = reporter(True, io.StringIO(), log=lambda: "/logs/run")
    assert isinstance(show, JsonReporter)
    show.close()
    assert capsys.readouterr().err == "log: /logs/run\n"


@pytest.mark.parametrize(
    ("environment", "keys", "expected"),
    [
        ({"TURNAROUND_LOGS": "/var/log/fleet"}, True, "/var/log/fleet"),
        ({}, True, "{tmp}/logs"),
        ({"HOME": "/home/ops"}, False, "/home/ops/.local/state/turnaround/airline"),
    ],
)
def test_where_logs_are_kept(
    environment: dict[str, str],
    keys: bool,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TURNAROUND_LOGS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if keys:
        (tmp_path / "keys").mkdir()
    place = Inventory("airline", tmp_path / "inventory.yml").logs
    assert str(place) == expected.format(tmp=tmp_path)
