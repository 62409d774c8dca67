"""Artifacts from git: what goes into each kind, built so that a revision gives the same bytes each time."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet import artifact, build_html5, build_ours, build_revision, build_wheels
from fleet.aboard.manifest import Beside, File, Health, Manifest
from fleet.artifact import Artifact
from fleet.build_revision import Revision
from fleet.build_wheels import Wheelhouse
from fleet.cache import cache_folder
from fleet.errors import UsageError

TOP = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Application:
    """A kind of artifact that is a Python environment.

    Args:
        packages: folders at the top of the checkout that are our part of it.
        left_out: what below them is no part of it.
        setup: run on the host before the switch, relative to the release.
        units: what is restarted there.
        beside: what serves people, and is started beside that of the release before; asked there whether
            it is well.
    """

    packages: tuple[str, ...]
    setup: tuple[tuple[str, ...], ...]
    units: tuple[str, ...]
    beside: Beside
    left_out: tuple[str, ...] = ()


APPLICATIONS: Mapping[str, Application] = {
    "onboard": Application(
        packages=("onboard_app", "sync", "common"),
        left_out=(build_html5.FOLDER,),
        setup=(("bin/python", "-m", "sync.setup"),),
        units=(
            "turnaround-avionics.service",
            "turnaround-agent.service",
        ),
        beside=Beside("turnaround-api@.service", "/run/turnaround/api.sock"),
    ),
    "hangar": Application(
        packages=("hangar_app", "fleet", "require", "roles", "templates", "sync", "common"),
        setup=(
            ("bin/python", "-m", "sync.setup"),
            ("bin/python", "-m", "hangar_app.fleet_import"),
        ),
        units=(
            "turnaround-worker-dispatch.service",
            "turnaround-worker-sync.service",
            "turnaround-worker-publish.service",
            "turnaround-worker-media.service",
            "turnaround-worker-converge.service",
            "turnaround-worker-campaign.service",
        ),
        beside=Beside("turnaround-web@.service", "/run/turnaround/web.sock"),
    ),
}
KINDS = (*APPLICATIONS, "html5")


def build(
    kind: str,
    revision: str = "HEAD",
    *,
    top: Path = TOP,
    out: Path | None = None,
    wheels: Wheelhouse | None = None,
    cache: Path | None = None,
) -> Artifact:
    """Build an artifact from a git revision; uncommitted changes are no part of it.

    Args:
        kind: onboard, hangar or html5.
        revision: any name of a commit.
        top: the checkout.
        out: where builds go; `.build` of the checkout unless said.
        wheels: where dependencies come from; the machine's own unless said.
        cache: where npm's packages are kept; the machine's own unless said.

    Returns:
        The artifact at `<out>/<kind>/<version>/manifest.json`.

    Raises:
        UsageError: no such kind or revision, or the lock is malformed.
        FleetError: the revision lacks a part, or a dependency cannot be had.

    Example:
        >>> build("onboard", "HEAD").manifest.version  # doctest: +SKIP
        '20260101120000-0123456789ab'
    """
    if kind not in KINDS:
        raise UsageError(f"no such kind of artifact: {kind}", f"one of {', '.join(KINDS)}")
    commit = build_revision.resolve(top, revision)
    out = out or top / ".build"
    with tempfile.TemporaryDirectory(prefix=f"turnaround-{kind}-") as work:
        if kind == "html5":
            found = build_html5.bundle(commit, Path(work), cache or cache_folder() / "npm")
            manifest = _pages(commit, found, out)
        else:
            wheels = wheels or build_wheels.wheelhouse()
            manifest = _application(kind, commit, Path(work), out, wheels)
    return artifact.save(manifest, out)


def _pages(commit: Revision, found: Mapping[str, Path], out: Path) -> Manifest:
    return Manifest(
        kind="html5",
        version=commit.version,
        revision=commit.sha,
        python=None,
        platform=None,
        files=artifact.files(artifact.keep(file, path, out) for path, file in found.items()),
        wheels=(),
        setup=(),
        units=(),
        beside=(),
        health=None,
    )


def _application(
    kind: str, commit: Revision, work: Path, out: Path, wheels: Wheelhouse
) -> Manifest:
    application = APPLICATIONS[kind]
    lock = f"requirements/{kind}.txt"
    commit.export([lock], work)
    pins = build_wheels.read_lock((work / lock).read_text(), f"{lock} of {commit.sha[:12]}")
    ours = build_ours.sources(commit, application.packages, application.left_out, work / "tree")
    brought = [_wheel(path, out) for path in wheels.wheels(pins)]
    files = artifact.files(
        [*(artifact.keep(path, place, out) for place, path in ours.items()), *brought]
    )
    return Manifest(
        kind=kind,
        version=commit.version,
        revision=commit.sha,
        python=build_wheels.PYTHON,
        platform=build_wheels.PLATFORM,
        files=files,
        wheels=tuple(sorted(file.path for file in brought)),
        setup=application.setup,
        units=application.units,
        beside=(application.beside,),
        health=Health(application.beside.socket, "/health"),
    )


def _wheel(path: Path, out: Path) -> File:
    return artifact.keep(path, f"wheels/{path.name}", out)
