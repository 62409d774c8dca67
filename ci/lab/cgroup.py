"""The lab's processes by control group: who belongs to it is asked of the kernel, never guessed from a pid.

Each host has `turnaround/<lab>/<host>`, the daemon `turnaround/<lab>/daemon`. A file of pids would be wrong
after a crash or a reboot; a control group cannot be.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ci.lab.errors import LabFault

MOUNT = Path("/sys/fs/cgroup")


def hierarchy(mount: Path = MOUNT) -> Path:
    """Returns the unified hierarchy, which older set-ups mount one level down.

    Raises:
        LabFault: the kernel or the machine's init gives none.
    """
    for root in (mount, mount / "unified"):
        if (root / "cgroup.procs").exists() and (root / "cgroup.controllers").exists():
            return root
    raise LabFault(
        f"the lab needs control groups (version 2), and {mount} has none",
        "mount -t cgroup2 none /sys/fs/cgroup, or use a machine with systemd",
    )


def group(lab: str, member: str = "") -> Path:
    """Returns the group of a lab, or of one host or the daemon of it."""
    return hierarchy() / "turnaround" / lab / member


def start(member: Path, argv: Sequence[str], log: Path, **environment: str) -> None:
    """Starts a program in the group that outlives us; when this returns, the group has it.

    Args:
        member: its group, made if need be.
        argv: the program and its arguments.
        log: where its output is added.
        environment: variables beside our own.
    """
    _make(member)
    enter = 'echo $$ >"$0/cgroup.procs" && exec setsid --fork "$@"'
    with log.open("ab") as output:
        subprocess.run(
            ["sh", "-c", enter, str(member), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            check=True,
        )


def _make(member: Path) -> None:
    # A lab that goes at this moment may remove the folder that all labs share under our hands.
    for _ in range(20):
        with contextlib.suppress(FileNotFoundError):
            member.mkdir(parents=True, exist_ok=True)
            return
    member.mkdir(parents=True)


def populated(member: Path) -> bool:
    """Says whether a process lives in the group or below it."""
    try:
        return "populated 1" in (member / "cgroup.events").read_text()
    except OSError:
        return False


def kill(member: Path, timeout_s: float = 10) -> None:
    """Kills all processes of the group at once, as a power cut does, and waits until they are gone.

    Raises:
        LabFault: something is still there after the time.
    """
    if not member.is_dir():
        return
    (member / "cgroup.kill").write_text("1")
    wait_empty(member, timeout_s)


def wait_empty(member: Path, timeout_s: float = 10) -> None:
    """Waits until no process is left in the group.

    Raises:
        LabFault: something is still there after the time.
    """
    deadline = time.monotonic() + timeout_s
    while populated(member):
        if time.monotonic() > deadline:
            raise LabFault(
                f"processes in {member} do not end within {timeout_s:g} s",
                "see them with: systemd-cgls " + str(member),
            )
        time.sleep(0.01)


def remove(lab: str, member: str = "") -> None:
    """Removes the empty groups of a lab or of one member, in every hierarchy that systemd-nspawn used."""
    for root in {hierarchy(), MOUNT / "systemd"}:
        top = root / "turnaround" / lab / member
        for folder, _, _ in os.walk(top, topdown=False):
            Path(folder).rmdir()
        # Of the last lab; another one may begin at this moment.
        with contextlib.suppress(OSError):
            (root / "turnaround").rmdir()
