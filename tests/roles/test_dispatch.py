"""What the hangar's key may ask of an aircraft: the words that are meant, nothing that looks like them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from fleet.context import TEMPLATES

ABOARD = "/opt/turnaround/bin/aboard"
REFUSED = 64


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    """A folder with a sudo that says with which words it was called, one on each line."""
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    sudo.chmod(0o755)
    return tmp_path


def asked(bin: Path, words: str | None, converge: bool = False) -> tuple[int, list[str]]:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), trim_blocks=True, keep_trailing_newline=True
    )
    script = environment.get_template("bin/dispatch.sh.j2").render(converge=converge)
    told = {"PATH": f"{bin}:{os.environ['PATH']}"}
    told |= {} if words is None else {"SSH_ORIGINAL_COMMAND": words}
    done = subprocess.run(
        ["sh", "-c", script], env=told, capture_output=True, text=True, cwd=bin, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "called"),
    [
        ("sync-now", ["-n", "-u", "turnaround", "/opt/turnaround/bin/sync-now"]),
        ("aboard offer", ["-n", ABOARD, "offer"]),
        ("aboard accept", ["-n", ABOARD, "accept"]),
        ("aboard list", ["-n", ABOARD, "list"]),
        ("aboard rollback onboard", ["-n", ABOARD, "rollback", "onboard"]),
        ("aboard rollback maps-iberia", ["-n", ABOARD, "rollback", "maps-iberia"]),
    ],
)
def test_what_the_hangar_needs_is_done(bin: Path, words: str, called: list[str]) -> None:
    assert asked(bin, words) == (0, called)


HOSTILE = [
    None,
    "",
    "sh",
    "aboard",
    "aboard recover",
    "aboard offer --root /tmp",
    "aboard --root /tmp offer",
    "aboard  offer",
    " aboard offer",
    "aboard offer ",
    "aboard offer\nid",
    "aboard accept; id",
    "aboard rollback",
    "aboard rollback ",
    "aboard rollback --root",
    "aboard rollback onboard --root /tmp",
    "aboard rollback onboard; id",
    "aboard rollback onboard\nid",
    "aboard rollback $(id)",
    "aboard rollback `id`",
    "aboard rollback ../onboard",
    "aboard rollback *",
    "aboard rollback Onboard",
    "aboard rollback ónboard",
    "aboard rollback -h",
    "sync-now; id",
    "converge",
    "converge x",
]


@pytest.mark.parametrize("words", HOSTILE)
def test_nothing_else_is(bin: Path, words: str | None) -> None:
    assert asked(bin, words) == (REFUSED, [])


def test_converge_is_another_permission(bin: Path) -> None:
    assert asked(bin, "converge", converge=True) == (0, ["-n", "/opt/turnaround/bin/converge"])
    assert asked(bin, "converge x", converge=True) == (REFUSED, [])
