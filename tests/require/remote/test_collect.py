"""A run is waited for while it goes on, with a sign of life, and for as long as somebody listens."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from require.remote import collect, lock
from require.remote.journal import Journal
from require.remote.wire import Reader
from tests.require.host import Clock


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "runs").mkdir()
    yield tmp_path / "runs"


def ask(runs: Path, run: str, out: Any, clock: Clock, begin_s: float = 0) -> list[Any]:
    request = {"state_dir": str(runs.parent), "resources": [], "total_s": 9}
    request |= {"run": run, "begin_s": begin_s}
    collect.main(request, out, clock, clock.sleep)
    return list(Reader().feed(out.getvalue()))


def test_a_run_that_may_still_begin_is_waited_for_in_vain(runs: Path) -> None:
    clock = Clock()
    frames = ask(runs, "r1", io.BytesIO(), clock, begin_s=5)
    assert (frames[-1][0], frames[-1][1]["collected"]) == (b"R", None)
    assert 5 <= clock.now < 6


def test_there_is_a_sign_of_life_while_it_goes_on_and_then_its_end(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(lock, "holder", lambda runs: {"run": "r1"} if clock.now < 12 else None)
    journal = Journal(str(runs), "r1")
    journal.write("start", at="08:00", operator="ops@desk", declares="d", steps=["a", "b"])
    journal.write("begin", key="a")
    journal.write("end", key="a", status="failed", reason="no disk")
    journal.write("begin", key="b")
    frames = ask(runs, "", io.BytesIO(), clock)
    place = {"stage": "apply", "key": "b", "done": 1, "total": 2}
    assert frames[:-1] == [(b"P", place)] * 3
    told = frames[-1][1]["collected"]
    assert told["results"] == {"a": {"status": "failed", "reason": "no disk"}}
    assert (told["run"], told["now"], told["finished"]) == ("r1", "b", False)


def test_nobody_is_waited_for_when_nobody_listens(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(lock, "holder", lambda runs: {"run": "r1"})
    Journal(str(runs), "r1").write("start", steps=["a"])
    with pytest.raises(BrokenPipeError):
        ask(runs, "r1", Gone(), Clock())
