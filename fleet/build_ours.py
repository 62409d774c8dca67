"""Our own wheel: the packages of one kind of host, with no dependencies, since the lock names them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fleet.build_deadline import deadline
from fleet.build_revision import Revision
from fleet.errors import FleetError

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = {name}
version = {version}
requires-python = ">=3.13"

[tool.hatch.build]
ignore-vcs = true

[tool.hatch.build.targets.wheel]
only-include = {packages}
exclude = {left_out}
"""


def wheel(
    revision: Revision,
    name: str,
    packages: Sequence[str],
    left_out: Sequence[str],
    work: Path,
) -> Path:
    """Build one wheel of the packages as they are in a revision; the same bytes each time.

    Args:
        revision: where the files come from; its time is that of every file.
        name: the distribution, for instance turnaround-onboard.
        packages: folders at the top of the checkout.
        left_out: folders below them that are no part of it.
        work: an empty folder.

    Raises:
        FleetError: the revision lacks a package, or the wheel cannot be built.
    """
    tree, out = work / "tree", work / "out"
    tree.mkdir()
    revision.export(packages, tree)
    project = _PROJECT.format(
        name=json.dumps(name),
        version=json.dumps(f"0.{revision.epoch_s}+g{revision.sha[:12]}"),
        packages=json.dumps(list(packages)),
        left_out=json.dumps(list(left_out)),
    )
    (tree / "pyproject.toml").write_text(project)
    what = f"hatchling for {name} of {revision.sha[:12]}"
    with deadline(what):
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
            cwd=tree,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(revision.epoch_s), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    if done.returncode:
        raise FleetError(
            f"{what}: {done.stderr.strip()[-1000:]}",
            "mend what it says in that revision's packages, commit and build again",
        )
    (built,) = out.glob("*.whl")
    return built
