"""The portal's files: templates and static files as they are in git, and those of npm beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fleet import packages
from fleet.artifact import hash_of
from fleet.build_deadline import deadline
from fleet.build_revision import Revision
from fleet.errors import FleetError

FOLDER = "onboard_app/html5"
PARTS = ("templates", "static")
# From a package of package-lock.json to the place where a page looks for it.
VENDORED: Mapping[str, str] = {
    "hls.js/dist/hls.light.min.js": "static/vendor/hls.light.min.js",
}


def bundle(revision: Revision, work: Path, cache: Path) -> dict[str, Path]:
    """The bundle's files: path in the release → file here.

    Args:
        revision: where they come from.
        work: an empty folder.
        cache: where npm's packages are kept, by the hash of their lock.

    Raises:
        FleetError: the revision has no portal, npm cannot have what the lock names, or the lock
            lacks what pages need.
    """
    revision.export([FOLDER], work)
    top = work / FOLDER
    found = {
        str(path.relative_to(top)): path
        for part in PARTS
        for path in sorted((top / part).rglob("*"))
        if path.is_file()
    }
    if not any(path.startswith("templates/") for path in found):
        raise FleetError(
            f"revision {revision.sha[:12]} has no {FOLDER}/templates",
            "build a revision that has the portal",
        )
    if (top / "package-lock.json").is_file():
        lock = f"{FOLDER}/package-lock.json of {revision.sha[:12]}"
        modules = npm_modules(top, cache, lock)
        for name, place in VENDORED.items():
            if not (modules / name).is_file():
                raise FleetError(
                    f"{lock} brings no {name}, which pages look for at {place}",
                    f"name its package in {FOLDER}/package.json, write the lock anew with npm "
                    "install there, commit and build that revision",
                )
            found[place] = modules / name
    return found


def npm_modules(top: Path, cache: Path, lock: str) -> Path:
    """The node_modules that a package-lock.json names, from the cache or installed now.

    Args:
        top: the folder with package.json and package-lock.json.
        cache: one folder in it for each lock.
        lock: how errors call the lock; its revision is named in it.

    Raises:
        FleetError: npm is missing and may not be installed here, or fails; with the end of what it
            says.
    """
    place = cache / hash_of(top / "package-lock.json")[0]
    modules = place / "node_modules"
    if modules.is_dir():
        return modules
    if shutil.which("npm") is None:
        packages.ensure(["nodejs", "npm"], purpose="the portal's build")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as arriving:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(top / name, arriving)
        with deadline(f"npm ci for {lock}"):
            done = subprocess.run(
                ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=arriving,
                capture_output=True,
                text=True,
                check=False,
                timeout=900,
            )
        if done.returncode:
            raise FleetError(
                f"npm ci for {lock}: {done.stderr.strip()[-800:]}",
                "is the package index reachable? A lock that was had once needs none",
            )
        place.mkdir(exist_ok=True)
        installed = Path(arriving) / "node_modules"
        installed.mkdir(exist_ok=True)  # of a lock that names nothing npm makes no folder
        # Another build may have been quicker; what it installed is the same.
        if not modules.is_dir():
            os.rename(installed, modules)
    return modules
