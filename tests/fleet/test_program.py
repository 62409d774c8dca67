"""The command line: wrong usage is one line and exit 64, our errors are sentences, nothing is guessed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit as InvokeExit
from invoke.tasks import task

from fleet.errors import Exit, FleetError, Offline, UsageError
from fleet.program import Commands

TOP = Path(__file__).resolve().parents[2]
seen: list[object] = []


@task(name="init-machine")
def init_machine(c: Context, host: str, slots: int = 8, yes: bool = False) -> None:
    """First contact."""
    seen.append((host, slots, yes))


@task
def deploy(c: Context, html5_rev: str = "HEAD", hosts: str = "") -> None:
    """Ship."""
    seen.append((html5_rev, hosts))


@task
def fails(c: Context, how: str) -> None:
    errors = {
        "failed": FleetError("EC-TAA: nginx.service did not start", "look at: fab logs"),
        "offline": Offline("EC-TAA: no answer"),
        "usage": UsageError("no such group"),
        "exit": InvokeExit(code=2),
        "interrupt": KeyboardInterrupt(),
        "bug": ZeroDivisionError("division by zero"),
        "unread": BrokenPipeError(),
    }
    raise errors[how]


@task
def start(c: Context) -> None:
    """Start a campaign."""
    seen.append("campaign")


def commands() -> Commands:
    campaign = Collection("campaign", start)
    return Commands("fab", Collection(init_machine, deploy, fails, campaign))


@pytest.fixture(autouse=True)
def _fresh() -> None:
    seen.clear()


def run(*words: str) -> int:
    return commands().main(["fab", *words])


def test_a_command_gets_its_values() -> None:
    assert run("init-machine", "--host", "root@10.0.0.1:22", "--slots", "3", "--yes") == 0
    assert seen == [("root@10.0.0.1:22", 3, True)]


def test_dotted_commands_and_values_with_equals_signs_work() -> None:
    assert run("campaign.start") == 0
    assert run("deploy", "--html5-rev=v1=2") == 0
    assert seen == ["campaign", ("v1=2", "")]


def test_hosts_is_the_commands_own_flag_and_not_fabrics() -> None:
    assert run("deploy", "--hosts", "a,b") == 0
    assert seen == [("HEAD", "a,b")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init-machin"], "no such command: init-machin (did you mean init-machine?)"),
        (["campaign.begin"], "no such command: campaign.begin (did you mean campaign.start?)"),
        (["deploy", "--html5-rve", "x"], "no such flag: --html5-rve (did you mean --html5-rev?)"),
        (["--frobnicate"], "no such flag: --frobnicate"),
        (["init-machine"], "fab init-machine: needs --host"),
        (["init-machine", "--yes"], "fab init-machine: needs --host"),
        (["init-machine", "--host"], "fab init-machine: --host needs a value"),
        (["init-machine", "--host", "--help"], "--host needs a value, and found --help"),
        (["deploy", "--hosts", "--html5-rev"], "fab deploy: --hosts needs a value"),
        (
            ["init-machine", "--host", "h", "--slots", "many"],
            "--slots needs a whole number, and found many",
        ),
        (["deploy", "EC-TAA"], "fab deploy: EC-TAA is not expected here"),
    ],
)
def test_wrong_usage_is_64_with_one_clear_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == Exit.USAGE
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert len(error.splitlines()) <= 2
    assert seen == []


@pytest.mark.parametrize("words", [["init-machine", "--help"], ["--help", "deploy"], ["--help"]])
def test_help_is_help_and_runs_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 0
    assert "Usage: fab" in capsys.readouterr().out
    assert seen == []


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("failed", 4, "fab: EC-TAA: nginx.service did not start\n  → look at: fab logs\n"),
        ("offline", 3, "fab: EC-TAA: no answer\n"),
        ("usage", 64, "fab: no such group\n"),
        ("exit", 2, ""),
        ("interrupt", 130, "fab: interrupted; a second run goes on from here\n"),
    ],
)
def test_our_errors_are_sentences_with_their_exit_code(
    how: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fails", "--how", how) == code
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_shows_where_it_is_and_is_no_success(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("fails", "--how", "bug") == Exit.FAILED
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "a fault in turnaround" in error


class Gone(io.StringIO):
    """A standard output whose reader went away; what is written is kept back until a flush."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def fileno(self) -> int:
        return self.number

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("words", [["fails", "--how", "unread"], ["deploy"], ["--help"]])
def test_an_output_that_nobody_reads_is_no_success(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Gone(file.fileno()))
        assert run(*words) == Exit.UNREAD == 141
        assert os.readlink(f"/proc/self/fd/{file.fileno()}") == os.devnull
    assert capsys.readouterr().err == ""


def test_the_module_wants_to_know_which_command_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet.program", "fabric"], cwd=TOP, capture_output=True, text=True
    )
    assert done.returncode == Exit.USAGE
    assert "expected fab or inv" in done.stderr


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_without_a_command_there_is_the_list_of_them(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 0
    shown = capsys.readouterr().out
    assert "deploy" in shown
    assert "--list-format" not in shown
