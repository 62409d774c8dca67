"""Wishes that cannot be fulfilled: what they touch, and what they leave alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from unittest.mock import patch

import require
from ci.faults.case import Case
from ci.faults.converge import wanted
from ci.faults.converge.aftermath import ends_well
from ci.faults.converge.stand import Stand
from ci.faults.under_test import Said
from ci.story.teller import NotSo
from require.resources.command import Command

ABSENT = "turnaround-no-such-package"
OTHER = "/srv/faults/other"


def package(stand: Stand, chance: Random) -> str:
    """A package that no list has; a file needs it, another does not."""
    with require.declare(role="faults") as declared:
        lacking = require.apt.packages([ABSENT])
        require.file.file("/srv/faults/needs-it", content="x", needs=[lacking])
        require.file.file(OTHER, content=f"{stand.generation}\n")
    said = stand.operate(declared)
    said.expect(
        f"Unable to locate package {ABSENT}", "is the name right", "it needs apt.packages:", code=4
    )
    return _others(stand, said)


def _others(stand: Stand, said: Said) -> str:
    """What does not need it is there; then the host goes on as ever."""
    there = stand.shell(f"cat {OTHER}; rm {OTHER}; ls /srv/faults")
    if not there.startswith(f"{stand.generation}\n") or "needs-it" in there:
        raise NotSo(f"expected {OTHER} and not what needs what failed, found {there}: {said.text}")
    return ends_well(stand, stand.generation + 1)


def template(stand: Stand, chance: Random) -> str:
    """A template with a variable that nobody gives: found before anything is sent."""
    with tempfile.TemporaryDirectory() as folder, stand.way() as way:
        (Path(folder) / "site.j2").write_text("listen {{ port }};\n")
        try:
            with require.declare(templates=Path(folder), role="faults") as declared:
                require.file.file(OTHER, content="x")
                require.file.template("/srv/faults/site", template="site.j2")
            stand.operate(declared, way)
        except require.DeclarationError as error:
            said = str(error)
        else:
            raise NotSo("a template with an undefined variable was taken")
        if way.up:
            raise NotSo(f"{way.up} bytes were sent to the host")
    if "site.j2" not in said or "port" not in said:
        raise NotSo(f"expected the template and the variable, found: {said}")
    return ends_well(stand, stand.generation + 1)


def refused(stand: Stand, chance: Random) -> str:
    """The program that validates a file says no."""
    path = next(iter(wanted.files(0)))
    with require.declare(role="faults") as declared:
        bad = require.file.file(
            path,
            content="no good\n",
            validate=["sh", "-c", "echo line 1 is no good >&2; exit 1", "{}"],
            notify=[require.systemd.restarted(wanted.UNIT)],
        )
        require.file.file("/srv/faults/needs-it", content="x", needs=[bad])
        require.file.file(OTHER, content=f"{stand.generation}\n")
    before = stand.seen()
    said = stand.operate(declared)
    said.expect(path, "does not accept the new content", "line 1 is no good", code=4)
    after = stand.seen()
    if (after.sums, after.told, after.left) != (before.sums, before.told, before.left):
        raise NotSo(f"a refused file left something: {after}")
    return _others(stand, said)


def hangs(stand: Stand, chance: Random) -> str:
    """A guard that never answers: its resource is unknown, and no more than that."""
    with require.declare(role="faults") as declared:
        hanging = require.command.command("hangs", ["true"], unless=["sleep", "1000"])
        require.file.file("/srv/faults/needs-it", content="x", needs=[hanging])
        require.file.file(OTHER, content=f"{stand.generation}\n")
    with patch.object(Command, "probe_timeout_s", 2.0):
        said = stand.operate(declared)
    said.expect("command:hangs", "had no answer after 2 s; see on the host", code=4)
    if left := stand.seen().left:
        raise NotSo(f"of a probe that hung there is left {left}")
    return _others(stand, said)


CASES = [
    Case(
        "no such package",
        f"{ABSENT} is declared, a file that needs it, and one that does not",
        "exit 4 with apt's own words; what needs it is left, the other file is there",
        package,
        seeds=False,
    ),
    Case(
        "undefined variable",
        "a template prints a variable that it was not given",
        "an error with the template and the variable; not a byte is sent",
        template,
        seeds=False,
    ),
    Case(
        "validation refuses",
        "the program that validates a file says no",
        "exit 4 with its words; the old file stays, nothing is restarted",
        refused,
        seeds=False,
    ),
    Case(
        "a probe hangs",
        "a guard that sleeps for 1000 s",
        "exit 4: that resource is unknown; the others are applied; the guard is gone",
        hangs,
        seeds=False,
    ),
]
