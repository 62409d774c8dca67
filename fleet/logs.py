"""`fab logs`: what our processes on a host wrote to its journal."""

from __future__ import annotations

from fleet.errors import Exit, UsageError
from fleet.inventory import Host
from fleet.report import Outcome
from fleet.ssh import Connection

LOGS_S = 60.0
MOST_LINES = 10_000


def command(lines: int, unit: str, since: str) -> list[str]:
    """Returns the journalctl call.

    Args:
        lines: how many of the last ones, 1 to 10 000.
        unit: such as `turnaround-api`; empty takes all of ours.
        since: such as `-10min` or `today`; empty takes any time.

    Raises:
        UsageError: `lines` is out of bounds.
    """
    if not 1 <= lines <= MOST_LINES:
        raise UsageError(f"--lines: expected 1 to {MOST_LINES}, found {lines}")
    argv = ["sudo", "-n", "journalctl", "--no-pager", "--quiet"]
    # Each line is shown under its host's name already.
    argv += ["--output=short-iso", "--no-hostname"]
    argv += [f"--lines={lines}", f"--unit={unit or 'turnaround-*'}"]
    return [*argv, f"--since={since}"] if since else argv


def fetch(connection: Connection, host: Host, argv: list[str]) -> Outcome:
    """Returns the lines of one host's journal.

    Raises:
        FleetError: the host could not be asked; off-line is `Offline`.
    """
    done = connection.run(argv, timeout_s=LOGS_S).check(host.name, "journalctl")
    lines = done.stdout.decode(errors="replace").splitlines()
    return Outcome(
        host.name,
        Exit.DONE,
        "log",
        f"{len(lines)} lines" if lines else "our processes wrote nothing in that time",
        lines=tuple(lines),
        data={"lines": lines},
    )
