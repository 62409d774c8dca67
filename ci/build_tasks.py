"""`inv build.*`: artifacts from a git revision, to ship with `fab deploy` or to look at."""

from __future__ import annotations

import json
import time

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from fleet.build import TOP, build

_HELP = {
    "rev": "a branch, a tag or a commit; uncommitted changes are never built",
    "json": "one JSON object instead of a sentence",
}


def _show(kind: str, rev: str, as_json: bool) -> None:
    started = time.monotonic()
    artifact = build(kind, rev)
    manifest = artifact.manifest
    folder = TOP / ".build" / kind / manifest.version
    row = {
        "kind": kind,
        "version": manifest.version,
        "revision": manifest.revision,
        "files": len(manifest.files),
        "bytes": artifact.size,
        "seconds": round(time.monotonic() - started, 2),
        "manifest": str(folder / "manifest.json"),
    }
    if as_json:
        print(json.dumps(row))
    else:
        print(
            f"{kind} {manifest.version}: {row['files']} files, {artifact.size / 1e6:.1f} MB, "
            f"in {row['seconds']} s: {folder.relative_to(TOP)}"
        )


@task(help=_HELP)
def onboard(c: Context, rev: str = "HEAD", json: bool = False) -> None:
    """The aircraft's application with all that it needs."""
    _show("onboard", rev, json)


@task(help=_HELP)
def hangar(c: Context, rev: str = "HEAD", json: bool = False) -> None:
    """The hangar's application with all that it needs."""
    _show("hangar", rev, json)


@task(help=_HELP)
def html5(c: Context, rev: str = "HEAD", json: bool = False) -> None:
    """The portal's pages."""
    _show("html5", rev, json)


namespace = Collection("build", onboard, hangar, html5)
