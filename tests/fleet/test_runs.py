"""What undo and resume mean for people and for the exit code."""

from __future__ import annotations

from typing import Any

import pytest

import fleet.runs
import require
from fleet.errors import Exit
from fleet.report import Outcome as Told
from fleet.runs import resume_on, undo_on
from require.result import Outcome, Result
from tests.fleet.test_converge import CHANGED, LONG, OK, Line

WOULD = Outcome("file:/etc/x", "would change", "content", LONG)
NOTE = "apt.packages:nginx (changed): it cannot be put back"


def undo(monkeypatch: pytest.MonkeyPatch, result: Result, check: bool = False) -> Told:
    monkeypatch.setattr(fleet.runs, "undo", lambda *_, **__: result)
    return undo_on(Line(), lambda text: None, check=check)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "check", "code", "status"),
    [
        (Result("EC-TAA", False, (CHANGED,)), False, 0, "put back"),
        (Result("EC-TAA", False, ()), False, 0, "nothing to undo"),
        (Result("EC-TAA", True, ()), True, 0, "nothing to undo"),
        (Result("EC-TAA", True, (WOULD,)), True, 2, "would change"),
        (Result("EC-TAA", False, (CHANGED,), errors=("no longer",)), False, 4, "failed"),
    ],
)
def test_what_an_undo_means(
    monkeypatch: pytest.MonkeyPatch, result: Result, check: bool, code: int, status: str
) -> None:
    told = undo(monkeypatch, result, check)
    assert (told.code, told.status) == (Exit(code), status)


def test_what_cannot_be_put_back_is_said_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    told = undo(monkeypatch, Result("EC-TAA", False, (CHANGED,), notes=(NOTE,)))
    assert f"note: {NOTE}" in told.lines
    assert told.as_json()["notes"] == [NOTE]


def resume(monkeypatch: pytest.MonkeyPatch, result: Result, run: str = "") -> Told:
    def collected(transport: Any, catalog: Any, asked: str, **_: Any) -> Result:
        assert asked == run
        return result

    monkeypatch.setattr(fleet.runs, "resume", collected)
    return resume_on(Line(), require.Catalog(), run, lambda text: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "code", "status", "said"),
    [
        (Result("EC-TAA", False, (OK, CHANGED), run="r7"), 0, "changed", "run r7: 1 of 2"),
        (Result("EC-TAA", False, (OK,), errors=("no disk",), run="r7"), 4, "failed", "no disk"),
        (Result("EC-TAA", False, ()), 0, "no run", "nothing was ever applied here"),
    ],
)
def test_what_a_collected_run_means(
    monkeypatch: pytest.MonkeyPatch, result: Result, code: int, status: str, said: str
) -> None:
    told = resume(monkeypatch, result)
    assert (told.code, told.status) == (Exit(code), status)
    assert said in told.detail


def test_a_run_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = resume(monkeypatch, Result("EC-TAA", False, (), errors=("no such run",)), "r9")
    assert (told.code, told.detail[:8]) == (Exit.FAILED, "run r9: ")
