"""`sync-now` as the hangar and ops call it: lines, last line, exit code."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy.exc import OperationalError

from onboard_app.agent import watching
from onboard_app.agent.__main__ import main
from onboard_app.agent.sync_now import sync_now
from sync.onlooker import Seen
from sync.rsync import LinkLost, Refused, TransferError
from sync.session import Busy, Report


class Shell:
    """What is written, and a clock that only sleeping moves."""

    def __init__(self):
        self.text, self.now = "", 0.0

    def write(self, line):
        self.text += line

    def sleep(self, seconds):
        self.now += seconds

    def call(self, run):
        return sync_now(run, self.write, lambda: self.now, self.sleep)

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def shell():
    return Shell()


def raising(error):
    def run(progress):
        raise error

    return run


def test_each_step_is_a_line_and_the_last_is_the_result(shell):
    def run(progress):
        progress("pushed 2 change-sets, 1834 bytes")
        progress("applied 12 rows in 1 change-sets")
        return Report(applied_rows=12, pushed=True)

    assert shell.call(run) == 0
    assert shell.lines[:2] == [
        {"progress": "pushed 2 change-sets, 1834 bytes"},
        {"progress": "applied 12 rows in 1 change-sets"},
    ]
    assert shell.lines[-1]["result"]["applied_rows"] == 12
    assert "error" not in shell.lines[-1]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LinkLost("fleet@10.100.64.1: the link was lost"), 3, "out_of_reach"),
        (Refused("fleet@10.100.64.1 refused: Permission denied"), 4, "refused"),
        (TransferError("rsync failed with 11"), 4, "transfer"),
        (OperationalError("select", {}, Exception("no server")), 4, "database"),
        (OSError(28, "No space left on device"), 4, "system"),
        (RuntimeError("the unforeseen"), 4, "internal"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_says_what_and_has_its_exit_code(shell, error, status, code):
    assert shell.call(raising(error)) == status
    assert shell.lines[-1]["result"] is None
    assert shell.lines[-1]["error"]["code"] == code
    assert shell.lines[-1]["error"]["message"]


def test_what_nobody_foresaw_is_named_and_its_trace_is_in_the_log(shell, caplog):
    shell.call(raising(KeyError("use")))
    assert shell.lines[-1]["error"]["message"] == "KeyError: 'use'"
    assert "Traceback" in caplog.text


def test_what_is_not_whole_is_not_done(shell):
    assert shell.call(lambda _: Report(problems=["film 7: no room"])) == 4
    assert shell.lines[-1]["result"]["problems"] == ["film 7: no room"]
    assert shell.lines[-1]["error"] == {"code": "incomplete", "message": "film 7: no room"}


def test_one_that_runs_already_is_waited_for_and_then_it_runs_too(shell):
    tries = []

    def run(progress):
        tries.append(shell.now)
        if len(tries) <= 5:
            raise Busy("a synchronisation is running already (process 7)")
        return Report()

    assert shell.call(run) == 0
    assert len(tries) == 6
    assert shell.lines[0]["progress"].startswith("waiting: ")
    assert len(shell.lines) == 2, "said once, not every second"


def test_one_that_never_ends_is_not_waited_for_for_ever(shell):
    assert shell.call(raising(Busy("running already"))) == 4
    assert shell.lines[-1]["error"]["code"] == "busy"
    assert 1800 <= shell.now <= 1802


def test_a_reader_who_left_does_not_stop_it():
    def gone(line):
        raise BrokenPipeError

    done = []

    def run(progress):
        progress("one")
        progress("two")
        done.append(True)
        return Report()

    assert sync_now(run, gone, lambda: 0.0, lambda _: None) == 0
    assert done


def test_wrong_usage_is_64(capsys):
    assert main(["land"]) == 64
    assert "sync-now" in capsys.readouterr().err


def test_how_it_goes_is_told_in_words_and_in_figures(shell, monkeypatch):
    monkeypatch.setattr(watching, "FIRST_S", 0.001)
    said = threading.Event()

    def look():
        return Seen(files=3, bytes=2_000_000)

    def write(line):
        shell.write(line)
        said.set()

    def run(progress):
        assert said.wait(10)
        return Report()

    assert sync_now(run, write, lambda: 0.0, shell.sleep, look) == 0
    first, last = shell.lines
    assert first["progress"] == "content 3 files 2.0 MB"
    assert (first["seen"]["files"], first["seen"]["left_s"]) == (3, None)
    assert "result" in last
