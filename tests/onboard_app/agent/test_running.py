"""Synchronisations in their thread, and the lock they hold."""

from __future__ import annotations

import fcntl
import threading

import pytest

from onboard_app.agent.running import Runner, locked
from sync.session import Busy, Report


def test_one_runs_at_a_time():
    go, ended = threading.Event(), threading.Event()

    def run():
        go.wait(5)
        return Report()

    runner = Runner(run, ended.set)
    assert runner.start()
    assert runner.running
    assert not runner.start()
    go.set()
    runner.join(5)
    assert ended.is_set()
    assert not runner.running
    assert runner.start()
    runner.join(5)


@pytest.mark.parametrize(
    "error", [Busy("running already"), RuntimeError("link lost"), OSError(28, "disk full")]
)
def test_however_it_ends_the_agent_hears_of_it(error, caplog):
    caplog.set_level("INFO")
    ended = threading.Event()

    def run():
        raise error

    runner = Runner(run, ended.set)
    runner.start()
    runner.join(5)
    assert ended.is_set()
    assert str(error) in caplog.text


def test_problems_of_a_finished_one_are_in_the_log(caplog):
    runner = Runner(lambda: Report(problems=["no room for film 7"]), lambda: None)
    runner.start()
    runner.join(5)
    assert "no room for film 7" in caplog.text


def test_a_lock_is_seen_whoever_holds_it(tmp_path):
    path = tmp_path / "sync.lock"
    assert not locked(path), "there was never one"
    with path.open("w") as lock:
        assert not locked(path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert locked(path)
    assert not locked(path)


def test_looking_does_not_keep_the_lock(tmp_path):
    path = tmp_path / "sync.lock"
    path.touch()
    locked(path)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
