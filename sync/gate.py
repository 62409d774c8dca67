"""What an aircraft's key may do at the hangar: the forced command of `~fleet/.ssh/authorized_keys`.

`python3 -m sync.gate EC-TAA` looks at the command the aircraft asked for and hands over to rrsync:
a push may only write that aircraft's inbox, a pull may only read its outbox. Everything else is
refused in one sentence. Standard library only: it starts at every connection.

A push is watched: an inbox has bounds, so that a box in wrong hands cannot fill the hangar's disk. It is
alone: a former one whose connection was cut is ended first, and what that left is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from sync import partial

__all__ = ["main", "restricted"]

RRSYNC = "/usr/bin/rrsync"
STATE_DIR = "/var/lib/turnaround"
# Of one aircraft: months of its change-sets, and a fraction of the hangar's disk.
MOST_BYTES = 1 << 30
MOST_FILES = 50_000
# Zeros that are sent compressed are written at gigabytes per second.
LOOK_S = 0.25
# How long a push waits for the end of the one before it, which it ends.
FORMER_S = 10.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}")


class Refusal(Exception):
    """The command is not one that an aircraft may run here."""


def restricted(aircraft: str, asked: str, state_dir: str) -> list[str]:
    """Return the command that stands for what the aircraft asked; raises `Refusal`.

    >>> restricted("EC-TAA", "rsync --server --sender -tr . .", "/var/lib/turnaround")[1:]
    ['-ro', '/var/lib/turnaround/sync/outbox/EC-TAA']
    """
    if not NAME.fullmatch(aircraft):
        raise Refusal(f"{aircraft!r} is no aircraft's name")
    if not asked:
        raise Refusal("this key runs rsync only, and has no shell")
    try:
        words = shlex.split(asked)
    except ValueError:
        words = []
    if words[:2] != ["rsync", "--server"]:
        raise Refusal(f"this key runs rsync only, not {asked[:80]!r}")
    if "--sender" in words:
        return [RRSYNC, "-ro", f"{state_dir}/sync/outbox/{aircraft}"]
    if "--preallocate" in words:
        raise Refusal("this key may not reserve room on the disk (--preallocate)")
    # -munge: a link that is pushed points nowhere, or it would lead us out of the inbox.
    return [RRSYNC, "-wo", "-no-del", "-munge", f"{state_dir}/sync/inbox/{aircraft}"]


def room(inbox: str) -> int:
    """Return how many bytes an inbox still takes, 1 at least.

    Raises `Refusal` when it holds what an aircraft never has to send, or is gone: its box was retired.
    """
    if not os.path.isdir(inbox):
        raise Refusal(f"{inbox} is there no more")
    size = count = 0
    for folder, _, names in os.walk(inbox, onerror=_unreadable):
        count += 1 + len(names)
        for name in names:
            # rsync gives a file its name when it is whole: what it writes may be gone by now.
            with contextlib.suppress(FileNotFoundError):
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
    if size >= MOST_BYTES or count > MOST_FILES:
        raise Refusal(
            f"the inbox holds {size / 1e6:.0f} MB in {count} files, and may hold "
            f"{MOST_BYTES / 1e6:.0f} MB in {MOST_FILES}: see what is in {inbox}, and why it is not applied"
        )
    return MOST_BYTES - size


def _unreadable(error: OSError) -> None:
    """What cannot be counted is not bounded: a push sets the modes of its folders."""
    if not isinstance(error, FileNotFoundError):
        raise Refusal(f"the inbox holds what cannot be read: {error}")


@contextlib.contextmanager
def alone(note: str) -> Iterator[int]:
    """Let one push of an aircraft write its inbox at a time, the one that came last.

    It has one connection: a former push that still waits for its own, which was cut, would keep what it
    holds from this one until it times out. Gives the descriptor of the note, in which the holder writes
    the process group to be ended. Raises `Refusal` when the former does not end.
    """
    os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
    descriptor = os.open(note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + FORMER_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Who holds the lock is there, and so is what it waits for.
                group = os.pread(descriptor, 20, 0)
                if group.isdigit():
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(int(group), signal.SIGKILL)
            if time.monotonic() > until:
                raise Refusal("a former push of this aircraft does not end; try again in a minute")
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def watched(command: list[str], inbox: str, note: int) -> int:
    """Run a push to its end, or to where the inbox is full; returns its exit code.

    Arguments: `note` is what `alone` gave.
    """
    partial.sweep(Path(inbox))
    # The kernel ends whoever writes one file beyond that; many of them are seen by looking.
    bounded = ["prlimit", f"--fsize={room(inbox)}", *command]
    # In a group of its own, which is ended whole: rrsync starts rsync, and that one another.
    running = subprocess.Popen(bounded, process_group=0)
    try:
        os.pwrite(note, b"%d" % running.pid, 0)
        while True:
            try:
                code = running.wait(LOOK_S)
            except subprocess.TimeoutExpired:
                room(inbox)
                continue
            if code:
                room(inbox)
            return code
    finally:
        os.ftruncate(note, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Let rrsync do it, or say why not and return 1."""
    try:
        if len(arguments) != 1:
            raise Refusal("expected one argument, the aircraft's name")
        state_dir = environment.get("TURNAROUND_STATE_DIR", STATE_DIR)
        command = restricted(arguments[0], environment.get("SSH_ORIGINAL_COMMAND", ""), state_dir)
        if not os.path.isdir(command[-1]):
            raise Refusal(
                f"{arguments[0]} has no folder here yet. Is it enrolled? Converging the hangar makes it"
            )
        # The aircraft's own folder admits this user and the hangar's; rsync drops the set-group-id
        # bit below it, so there the modes leave the door to that folder.
        os.umask(0)
        if "-wo" in command:
            with alone(f"{state_dir}/fleet/{arguments[0]}.push") as note:
                return watched(command, command[-1], note)
        os.execv(command[0], command)  # noqa: S606  # no shell is wanted
    except (Refusal, OSError) as error:
        sys.stderr.write(f"turnaround: refused: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
