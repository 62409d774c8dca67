"""Completion knows commands, flags, and the hosts of the inventory, in a real shell too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from fleet.completion import candidates, known, script
from fleet.errors import UsageError
from fleet.program import Commands

TOP = Path(__file__).resolve().parents[2]
CONTEXTS = {
    "converge": ParserContext(
        "converge",
        args=[
            Argument(names=("target",), kind=str),
            Argument(names=("tags",), kind=str),
            Argument(names=("check",), kind=bool, default=False),
        ],
    ),
    "deploy": ParserContext("deploy"),
    "lab.ssh": ParserContext("lab.ssh", args=[Argument(names=("host",), positional=True)]),
}


def values(name: str) -> Sequence[str]:
    return {
        "target": ["EC-TAA", "EC-TAB", "aircraft", "all"],
        "host": ["EC-TAA", "EC-TAB"],
        "tags": ["base", "systemd"],
    }.get(name, [])


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ([], ["converge", "deploy", "lab.ssh"]),
        (["conv"], ["converge"]),
        (["nonsense", ""], ["converge", "deploy", "lab.ssh"]),
        (["converge", ""], ["--check", "--tags", "--target"]),
        (["converge", "--check", "--t"], ["--tags", "--target"]),
        (["converge", "--tags", "x", "--t"], ["--target"]),
        (["converge", "--target", "a"], ["aircraft", "all"]),
        (["converge", "--target", "all,!EC"], ["all,!EC-TAA", "all,!EC-TAB"]),
        (["converge", "--target", "EC-TAA,air"], ["EC-TAA,aircraft"]),
        (["converge", "--tags", "base,s"], ["base,systemd"]),
        (["converge", "--target", "nobody"], []),
        (["lab.ssh", ""], ["EC-TAA", "EC-TAB"]),
        (["lab.ssh", "EC-TAA", ""], ["--host"]),
        (["deploy", ""], []),
    ],
)
def test_what_the_last_word_may_become(typed: list[str], found: list[str]) -> None:
    assert candidates(typed, CONTEXTS, values) == found


def test_an_inventory_that_is_not_there_completes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_INVENTORY", "/nowhere.yml")
    assert known("target") == ()
    monkeypatch.setenv("FLEET_INVENTORY", str(TOP / "inventory/example.yml"))
    assert known("target") == ["EC-TAA", "EC-TAB", "aircraft", "all", "hangar"]
    assert known("host") == ["EC-TAA", "EC-TAB", "hangar"]
    assert {"aircraft", "postgres"} <= set(known("tags"))


def test_another_shell_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"no completion for the shell bahs \(did you mean bash"):
        script("fab", "bahs")
    assert Commands("fab").main(["fab", "--print-completion-script", "csh"]) == 64
    assert "bash, zsh, fish" in capsys.readouterr().err


def test_bash_completes_a_host() -> None:
    lines = f"""
        source <({TOP}/fab --print-completion-script bash)
        COMP_WORDS=({TOP}/fab converge --target 'all,!EC-TAB')
        COMP_CWORD=3
        _turnaround_fab
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", lines],
        env={**os.environ, "FLEET_INVENTORY": str(TOP / "inventory/example.yml")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "all,!EC-TAB\n"
