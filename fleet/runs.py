"""What is done with the runs of hosts afterwards: undone, or collected when nobody saw their end."""

from __future__ import annotations

from dataclasses import replace

import require
from fleet.converge import Say, asked
from fleet.errors import Exit
from fleet.report import Outcome
from fleet.ssh import Connection
from require.resume import resume
from require.undo import undo


def undo_on(
    connection: Connection, say: Say, *, check: bool = False, diff: bool = False
) -> Outcome:
    """Puts back the files that the last run on a host replaced; with `check` only tells.

    Raises:
        FleetError: the host could not be asked; off-line is `Offline`.
    """
    found = asked(
        connection,
        say,
        lambda transport, progress: undo(transport, check, progress=progress),
        diff=diff,
    )
    if found.code == Exit.DONE:
        return replace(found, status="put back" if found.data["changes"] else "nothing to undo")
    return found


def resume_on(connection: Connection, declared: require.Catalog, run: str, say: Say) -> Outcome:
    """Waits for the end of a run on a host, and says what the command that began it would have.

    Args:
        connection: the way there.
        declared: what the host's roles say now.
        run: its id; empty is the last run.
        say: is told how it goes.

    Raises:
        FleetError: the host could not be asked; off-line is `Offline`.
    """
    found = asked(
        connection,
        say,
        lambda transport, progress: resume(transport, declared, run, progress=progress),
    )
    if found.code == Exit.DONE and not found.data["run"]:
        return replace(found, status="no run", detail="nothing was ever applied here", remedy="")
    return replace(found, detail=f"run {found.data['run'] or run}: {found.detail}")
