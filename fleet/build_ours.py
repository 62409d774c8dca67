"""Our own code: the packages of one kind of host as plain files, so that of a change only what it touched
travels; a wheel of them would be another file with each line that changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fleet.aboard.unpack import SOURCES
from fleet.build_revision import Revision


def sources(
    revision: Revision, packages: Sequence[str], left_out: Sequence[str], work: Path
) -> dict[str, Path]:
    """Our files: place in the release → file here.

    Args:
        revision: where they come from.
        packages: folders at the top of the checkout.
        left_out: folders below them that are no part of it.
        work: an empty folder, or none yet.

    Raises:
        FleetError: the revision lacks a package, or holds what is no plain file.
    """
    revision.export(packages, work)
    without = [work / folder for folder in left_out]
    return {
        f"{SOURCES}/{path.relative_to(work).as_posix()}": path
        for path in sorted(work.rglob("*"))
        if path.is_file() and not any(path.is_relative_to(folder) for folder in without)
    }
