"""This machine's own Debian packages: what is missing is installed at first use, and a line says so."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import FleetError

INSTALL_TIMEOUT_S = 900.0
LOCK_WAIT_S = 300
LOCK = Path("/run/lock/turnaround-packages")


def tell(line: str) -> None:
    """Prints a line of progress; standard output belongs to the result."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def missing(names: Sequence[str], dpkg_says: str) -> list[str]:
    """Returns the packages that are not installed. Pure.

    Args:
        names: Debian package names.
        dpkg_says: lines of `dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n'`.

    >>> missing(["rsync", "nginx"], "rsync installed\\nnginx config-files\\n")
    ['nginx']
    """
    there = {
        words[0] for line in dpkg_says.splitlines() if (words := line.split())[1:] == ["installed"]
    }
    return [name for name in names if name not in there]


def ensure(
    names: Iterable[str], *, purpose: str = "this", say: Callable[[str], None] = tell
) -> None:
    """Installs the packages that this machine lacks.

    Args:
        names: Debian package names.
        purpose: what needs them, for the line and the error.
        say: takes the one line that says what is being installed.

    Raises:
        FleetError: some are missing and may not be installed here (no apt, no root), or apt failed.

    >>> ensure(["coreutils"])
    """
    wanted = list(dict.fromkeys(names))
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        raise FleetError(
            f"{purpose} needs the Debian packages {', '.join(wanted)}, and this machine has no apt",
            "use a Debian machine (12 or later)",
        )
    lacking = missing(wanted, _dpkg(wanted))
    if not lacking:
        return
    command = f"apt-get install {' '.join(lacking)}"
    if os.geteuid() != 0:
        raise FleetError(
            f"{purpose} needs {', '.join(lacking)}, and only root may install packages",
            f"as root: {command}",
        )
    with _alone():
        # Whoever had the lock may have installed just these.
        lacking = missing(wanted, _dpkg(wanted))
        if not lacking:
            return
        say(f"turnaround: installing {', '.join(lacking)} for {purpose} (apt-get, once)")
        try:
            _install(lacking)
        except FleetError as error:
            raise FleetError(
                f"could not install {', '.join(lacking)} for {purpose}: {error.what}",
                f"see that this works, then try again: {command}",
            ) from None


@contextmanager
def _alone() -> Iterator[None]:
    """One of our commands at a time: `apt-get update`, unlike install, waits for nobody."""
    with LOCK.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _dpkg(names: Sequence[str]) -> str:
    try:
        known = _run(
            ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", "*"]
        )
    except FleetError:
        return ""
    asked = set(names)
    return "\n".join(line for line in known.splitlines() if line.split(" ")[0] in asked)


def _install(names: Sequence[str]) -> None:
    waiting = f"DPkg::Lock::Timeout={LOCK_WAIT_S}"
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "--option", waiting]
    try:
        _run([*install, *names])
    except FleetError:
        # The lists may be absent or older than the mirror: refresh them, and only then give up.
        _run(["apt-get", "update"])
        _run([*install, *names])


def _run(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_S,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FleetError(f"{argv[0]} did not end within {INSTALL_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise FleetError(f"{argv[0]} {argv[1]} failed ({done.returncode}): {said[-1]}")
    return done.stdout
