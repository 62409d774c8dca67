"""The house: what runs on hosts stands on the standard library, rooms say what they are, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
ROOMS = (
    "ci",
    "common",
    "fabfile",
    "fleet",
    "hangar_app",
    "onboard_app",
    "require",
    "roles",
    "sync",
)
ON_HOSTS = ("require/remote", "fleet/aboard")
LONGEST = 400


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", pattern], cwd=TOP, capture_output=True, text=True, check=True
    )
    return [TOP / line for line in listed.stdout.splitlines() if (TOP / line).exists()]


def imported(text: str) -> set[str]:
    """The modules that a file names; a neighbour by its dots."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def strangers(text: str, package: str) -> set[str]:
    """What a file of a package on a bare host imports beside the standard library and its neighbours."""
    return {
        name
        for name in imported(text)
        if name.split(".")[0] not in sys.stdlib_module_names
        and f"{name}.".removeprefix(f"{package}.") == f"{name}."
        and (not name.startswith(".") or name.startswith(".."))
    }


@pytest.mark.parametrize("folder", ON_HOSTS)
def test_what_runs_on_a_bare_host_imports_the_standard_library_only(folder: str) -> None:
    for path in tracked(f"{folder}/*.py"):
        found = strangers(path.read_text(), folder.replace("/", "."))
        assert not found, f"{path.relative_to(TOP)} imports {found}"


@pytest.mark.parametrize(
    ("line", "strange"),
    [
        ("from fleet.errors import FleetError", True),
        ("from .. import errors", True),
        ("import paramiko.client", True),
        ("from .errors import AboardError", False),
        ("from fleet.aboard.errors import AboardError", False),
        ("import http.client", False),
    ],
)
def test_a_stranger_on_a_bare_host_is_noticed(line: str, strange: bool) -> None:
    assert bool(strangers(line, "fleet.aboard")) is strange


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_lives_in_it(room: str) -> None:
    text = ast.get_docstring(ast.parse((TOP / room / "__init__.py").read_text()))
    assert text
    assert len(text.split()) > 25


def test_no_file_holds_two_things() -> None:
    long = {
        str(path.relative_to(TOP)): lines
        for path in tracked("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert not long


def test_no_package_index_is_named() -> None:
    for path in tracked("requirements/*.txt") + tracked("*package-lock.json"):
        text = path.read_text()
        assert "://" not in text, f"{path.relative_to(TOP)} holds an address"
