"""Deploys while the cabin asks without a pause: what it costs the passengers, and how long a switch takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.story.phones import OPEN_S
from ci.story.world import TOP, World

PHONES = 4
LATEST_S = 3600.0
PAGE = "onboard_app/html5/templates/base.html"
SHEET = "onboard_app/html5/static/portal.css"
SETTING = "onboard_app/__init__.py"


@dataclass(frozen=True)
class Load:
    """What the phones saw, and what was said of their steps by the releases, and by those gone back to."""

    seen: dict[str, Any]
    releases: list[dict[str, Any]]
    back: list[dict[str, Any]]

    @property
    def switch_s(self) -> float:
        """From the first rename to the last, the longest of all."""
        return max(took(one, "switch", "link") for one in (*self.releases, *self.back))

    @property
    def back_s(self) -> float:
        """From the order to go back until the release before serves, the longest of all kinds."""
        return max(took(one, "trial", "beside", "switch", "link") for one in self.back)


def took(one: Mapping[str, Any], *steps: str) -> float:
    """How long these steps of one release took together, in seconds."""
    return sum(float(one["steps"].get(step, 0)) for step in steps)


def deploys(world: World, name: str, times: int, folder: Path) -> Load:
    """Deploys two editions by turns, app and pages, and goes back once, while phones ask.

    Args:
        world: with a released aircraft.
        name: the aircraft.
        times: how many deploys.
        folder: an empty one.
    """
    editions = [edition(letter, folder / letter) for letter in "ab"]
    released: list[dict[str, Any]] = []
    back: list[dict[str, Any]] = []

    def some() -> None:
        for turn in range(times):
            revision = editions[turn % 2]
            flags = ("--aircraft-rev", revision, "--html5-rev", revision)
            (said,) = world.fab_json("deploy", "--target", name, *flags)
            released.extend(said["releases"])
        (said,) = world.fab_json("rollback", "--target", name)
        back.extend(said["releases"])
        time.sleep(OPEN_S)

    return Load(asked_while(world, name, some, folder / "stop"), released, back)


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
