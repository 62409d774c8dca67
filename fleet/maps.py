"""Maps: a named set of files, packaged and shipped by the rules of releases.

A bundle M is the kind `maps-M`: on an aircraft it is current at `/opt/turnaround/current/maps-M`. It comes
from a folder, not from git, so its version says when its newest file was written and what all of them are:
the same files make the same bundle.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fleet import artifact
from fleet.aboard.errors import ManifestError
from fleet.aboard.manifest import MAPS, NAME, File, Manifest, is_inside, parse
from fleet.artifact import Artifact
from fleet.build import TOP
from fleet.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]{0,25}")
FOLDER = "maps"


def kind_of(name: str) -> str:
    """Returns the kind of release that a bundle is.

    Raises:
        UsageError: the name is none.

    >>> kind_of("iberia")
    'maps-iberia'
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name: expected a lower-case letter and at most 25 letters or digits, found {name!r}"
        )
    return f"{MAPS}{name}"


def package(name: str, source: Path, out: Path = TOP / ".build") -> Artifact:
    """Packages a folder as the newest bundle of a name.

    Args:
        name: of the bundle.
        source: its folder; everything below it belongs to it.
        out: where builds go.

    Returns:
        The artifact at `<out>/maps-<name>/<version>/`.

    Raises:
        UsageError: the folder is missing or empty, or holds what no release can (a link, an odd name, too
            much); the text names it.

    >>> package("iberia", Path("maps/iberia")).manifest.version  # doctest: +SKIP
    '20261125120000-0b1e6f3d52aa'
    """
    kind = kind_of(name)
    if not source.is_dir():
        raise UsageError(
            f"{source}: expected the folder with the files of the maps {name}, found none",
            "put them there, or name their folder with --source",
        )
    newest, found = 0.0, []
    for path in _files(source):
        place = path.relative_to(source).as_posix()
        if not is_inside(place):
            raise UsageError(
                f"{source}: expected a printable name without a backslash, found {place!r}",
                "rename it",
            )
        newest = max(newest, path.stat().st_mtime)
        found.append(artifact.keep(path, place, out))
    files = artifact.files(found)
    digest = _digest(files)
    manifest = Manifest(
        kind=kind,
        version=f"{datetime.fromtimestamp(newest, UTC):%Y%m%d%H%M%S}-{digest[:12]}",
        revision=digest,
        python=None,
        platform=None,
        files=files,
        wheels=(),
        setup=(),
        units=(),
        beside=(),
        health=None,
    )
    try:
        parse(manifest.dump(), str(source))
    except ManifestError as error:
        raise UsageError(str(error)) from None
    return artifact.save(manifest, out)


def newest(name: str, out: Path = TOP / ".build") -> Artifact:
    """Returns the bundle that was packaged last under a name.

    Raises:
        UsageError: none was.
    """
    kind = kind_of(name)
    packaged = sorted((out / kind).glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime)
    if not packaged:
        others = sorted(path.name.removeprefix(MAPS) for path in out.glob(f"{MAPS}*"))
        raise UsageError(
            f"no maps {name} were packaged here"
            + (f"; packaged are: {', '.join(others)}" if others else ""),
            f"first: fab package-maps --name {name}",
        )
    return Artifact(parse(packaged[-1].read_bytes(), str(packaged[-1])), out / "blobs")


def _files(source: Path) -> Iterator[Path]:
    """Every file below a folder, in one order; what is neither file nor folder is refused."""
    for parent, folders, names in os.walk(source, onerror=_unreadable):
        for name in sorted((*folders, *names)):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                yield path
            elif not stat.S_ISDIR(mode):
                raise UsageError(
                    f"{path}: expected a file or a folder, found something else, such as a link",
                    "put the file itself there",
                )


def _unreadable(error: OSError) -> None:
    raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _digest(files: tuple[File, ...]) -> str:
    """SHA-256 of the list of files in its one order: path, a NUL, hash, a line feed."""
    listing = "".join(f"{file.path}\0{file.sha256}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()
