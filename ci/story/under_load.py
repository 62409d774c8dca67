"""Deploys while the cabin asks without a pause: what it costs the passengers, and how long a switch takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.story.world import TOP, World

PHONES = 4
LATEST_S = 3600.0
PAGE = "onboard_app/html5/templates/base.html"
SHEET = "onboard_app/html5/static/portal.css"
SETTING = "onboard_app/__init__.py"


@dataclass(frozen=True)
class Load:
    """What the phones saw, and what the releases said of their steps."""

    seen: dict[str, Any]
    releases: list[dict[str, Any]]

    def longest(self, *steps: str) -> float:
        """The longest that these steps took together in one release, in seconds."""
        return max(sum(float(one["steps"].get(step, 0)) for step in steps) for one in self.releases)


def deploys(world: World, name: str, times: int, folder: Path) -> Load:
    """Deploys two editions by turns, app and pages, while phones ask; what the phones saw.

    Args:
        world: with a released aircraft.
        name: the aircraft.
        times: how many deploys.
        folder: an empty one.
    """
    editions = [edition(letter, folder / letter) for letter in "ab"]
    released: list[dict[str, Any]] = []

    def some() -> None:
        for turn in range(times):
            revision = editions[turn % 2]
            flags = ("--aircraft-rev", revision, "--html5-rev", revision)
            (said,) = world.fab_json("deploy", "--target", name, *flags)
            released.extend(said["releases"])

    return Load(asked_while(world, name, some, folder / "stop"), released)


def asked_while(world: World, name: str, act: Any, stop: Path) -> dict[str, Any]:
    """Lets phones ask while something is done; returns what they saw."""
    argv = [sys.executable, str(Path(__file__).with_name("phones.py")), world.portal(name)]
    with ThreadPoolExecutor(1) as pool:
        phones = pool.submit(
            world.lab.run_in_cabin, name, [*argv, str(stop), str(PHONES)], timeout=LATEST_S
        )
        try:
            act()
        finally:
            stop.touch()
        done = phones.result()
    seen: dict[str, Any] = json.loads(done.stdout or json.dumps({"failed": done.stderr}))
    return seen


def edition(letter: str, index: Path) -> str:
    """A revision of this repository whose pages and app say which edition they are; no branch leads to it."""
    changes = {
        PAGE: f"<!-- edition-{letter} -->\n",
        SHEET: f"\n/* edition-{letter} */\n",
        SETTING: f"\nEDITION = {letter!r}\n",
    }
    texts = {path: (TOP / path).read_text() for path in changes}
    return revision_with({path: texts[path] + more for path, more in changes.items()}, index)


def revision_with(files: dict[str, str], index: Path) -> str:
    """A revision of this repository with other texts in some files; no branch leads to it."""

    def git(*args: str, stdin: str = "") -> str:
        return _git(args, stdin, index)

    git("read-tree", "HEAD")
    for path, text in files.items():
        blob = git("hash-object", "-w", "--stdin", stdin=text)
        git("update-index", "--cacheinfo", f"100644,{blob},{path}")
    return git("commit-tree", git("write-tree"), "-p", "HEAD", "-m", f"Other {', '.join(files)}")


def _git(args: Sequence[str], stdin: str, index: Path) -> str:
    who = ["-c", "user.name=story", "-c", "user.email=story@example.com"]
    done = subprocess.run(
        ["git", *who, *args],
        cwd=TOP,
        env={**os.environ, "GIT_INDEX_FILE": str(index)},
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
