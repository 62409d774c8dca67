"""rsync over SSH, as the aircraft starts it: which flags, how many bytes moved, why it failed.

What an aircraft sends is small and compressed already, so it goes whole. What it gets may be a snapshot
or a film: what arrived before a power cut is used by the next run, which rsync's own `--partial-dir` does
not give (it keeps a partial file on a signal, not on a cut). Change-sets go on from what `sync.partial`
adopts, content goes `--inplace` into a staging folder. One SSH connection serves a whole session.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.settings import Settings
from sync import partial, policy
from sync.failure import (
    NO_SSH,
    LinkLost,
    NoRoom,
    Refused,
    TransferError,
    first_line,
    full_here,
    why,
)

__all__ = ["Link", "LinkLost", "Moved", "NoRoom", "Refused", "TransferError", "link_for"]

TIMEOUT_S = 60
CLOSE_S = 10
# How often whoever watches a transfer is asked whether it should stop, and how long stopping may take.
LOOK_S = 0.5
STOP_S = 10
_SENT = re.compile(rb"^Total bytes sent: (\d+)$", re.M)
_RECEIVED = re.compile(rb"^Total bytes received: (\d+)$", re.M)
# What vanished while it ran was withdrawn in between; the next run sees what is there then.
_VANISHED = 24
_PARTIAL = 23


@dataclass(frozen=True)
class Moved:
    """Bytes on the link as rsync counts them (inside SSH).

    `problem` says in words why some file could not be read or written, at either end; '' when all
    came. `stopped`: it was asked to stop before its end, and its bytes are not known.
    """

    sent: int = 0
    received: int = 0
    problem: str = ""
    stopped: bool = False

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            self.sent + other.sent,
            self.received + other.received,
            self.problem or other.problem,
            self.stopped or other.stopped,
        )


@dataclass(frozen=True)
class Link:
    """The way to the hangar: `host` as SSH takes it, and the remote shell's words before it.

    `kib_s` is asked before each run for the most KiB in a second that either end sends, 0 for no bound.
    """

    host: str
    shell: Sequence[str]
    kib_s: Callable[[], int] = lambda: 0

    def open(self) -> None:
        """Make the SSH connection that the runs share, so that two at once do not make one each.

        Raises `LinkLost` or `Refused`.
        """
        done = subprocess.run(
            [*self.shell, "-f", "-N", self.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            env={**_ENVIRONMENT},
        )
        if done.returncode == NO_SSH:
            raise why(self.host, NO_SSH, done.stderr.decode(errors="replace").strip(), push=True)

    def push(self, folder: Path) -> Moved:
        """Send what the folder holds to the hangar's inbox of this aircraft; nothing is removed."""
        # The hangar's own user has another group than the one that receives: see `sync.gate`.
        modes = "--chmod=D0777,F0644"
        return self._run(["-rt", "-W", "--fsync", modes, f"{folder}/", f"{self.host}:./"])

    def pull(self, folder: Path) -> Moved:
        """Make the folder equal to the hangar's outbox of this aircraft, all but the blobs."""
        folder.mkdir(parents=True, exist_ok=True)
        # Times to the nanosecond: two manifests of one second and one size are not the same.
        # The list of files comes in one piece: a folder more is no wait more.
        mirror = ["-rt", "--no-inc-recursive", "--fsync", "--delete", "--modify-window=-1"]
        mirror += [f"--partial-dir={partial.FOLDER}", "--exclude=/content/blobs", "--exclude=.*"]
        return self._run([*mirror, "--chmod=D0755,F0644", f"{self.host}:./", f"{folder}/"])

    def fetch(
        self,
        hashes: Iterable[str],
        staging: Path,
        *,
        largest: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Moved:
        """Fetch blobs into `staging/<sha256>`, going on where a former run was cut.

        Arguments: a blob of more than `largest` bytes is left where it is; `stop` is asked twice a
        second whether this should make way, and what came until then is kept.
        """
        staging.mkdir(parents=True, exist_ok=True)
        names = "".join(f"{sha256[:2]}/{sha256}\n" for sha256 in hashes)
        flags = ["-t", "--inplace", "--no-whole-file", "--fsync", "--chmod=F0644"]
        flags += ["--files-from=-", "--no-relative"]
        flags += [] if largest is None else [f"--max-size={largest}b"]
        source = f"{self.host}:content/blobs/"
        return self._run([*flags, source, f"{staging}/"], names.encode(), stop)

    def close(self) -> None:
        """End the SSH connection that the runs shared; there may be none.

        One that does not end is left to its own time-outs: it must not hide what the runs came to.
        """
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*self.shell, "-O", "exit", self.host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=CLOSE_S,
                check=False,
            )

    def _run(
        self, arguments: list[str], stdin: bytes = b"", stop: Callable[[], bool] | None = None
    ) -> Moved:
        # No deadline over all: a long transfer on a slow link is legal. A dead one ends by rsync's
        # own time-out, and by that of the SSH connection below it.
        # Whoever waits for it may be killed: it ends then too, or the next run would meet it.
        command = [*_beside("tied.py"), str(os.getpid()), "rsync"]
        command += ["--stats", "--no-human-readable", f"--timeout={TIMEOUT_S}"]
        kib_s = self.kib_s()
        command += [f"--bwlimit={kib_s}"] if kib_s else []
        command += ["-e", shlex.join(self.shell), *arguments]
        code, told, heard, stopped = _watched(command, stdin, stop)
        if stopped and code:
            return Moved(stopped=True)
        said = heard.decode(errors="replace").strip()[-2000:]
        push = arguments[-1].startswith(f"{self.host}:")
        if full := full_here(said, push):
            raise NoRoom(f"this disk takes no more: {full}. `df` shows how full it is")
        if code not in {0, _PARTIAL, _VANISHED}:
            raise why(self.host, code, said, push)
        sent, received = _SENT.search(told), _RECEIVED.search(told)
        return Moved(
            sent=int(sent[1]) if sent else 0,
            received=int(received[1]) if received else 0,
            problem=self._partial(said) if code == _PARTIAL else "",
        )

    def _partial(self, said: str) -> str:
        return (
            f"{self.host}: not every file came over: {first_line(said)}. Mend what it names; the next "
            "synchronisation sends the rest"
        )


def _watched(
    command: list[str], stdin: bytes, stop: Callable[[], bool] | None
) -> tuple[int, bytes, bytes, bool]:
    """Run it to its end, or until it should stop; returns its code and output, and whether it was told to."""
    pipe, given, stopped = subprocess.PIPE, stdin or None, False
    # In our own process group: what ends this session ends its rsync too.
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env={**_ENVIRONMENT}
    ) as running:
        try:
            while True:
                try:
                    told, heard = running.communicate(given, None if stop is None else LOOK_S)
                except subprocess.TimeoutExpired:
                    given = None
                    if not stopped and stop is not None and stop():
                        stopped = True
                        _stop(running)
                    continue
                return running.returncode, told, heard, stopped
        finally:
            if running.poll() is None:
                running.kill()


def _stop(running: subprocess.Popen[bytes]) -> None:
    # rsync ends its other half and its shell itself, and leaves what it wrote.
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(STOP_S)
        return
    running.kill()


def _beside(program: str) -> list[str]:
    """The words that run one of the small programs that lie here; they start at once."""
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name(program))]


_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}


def link_for(settings: Settings) -> Link:
    """Return the aircraft's way to its hangar; raises `Refused` when no hangar is set.

    `hangar_ssh` is `user@host` or `user@host:port`.
    """
    if not settings.hangar_ssh:
        raise Refused(
            f"{settings.node}: TURNAROUND_HANGAR_SSH is not set; converge this host, which sets it"
        )
    host, _, port = settings.hangar_ssh.partition(":")
    options = {
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "PreferredAuthentications": "publickey",
        "UserKnownHostsFile": str(settings.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": "20",
        "ProxyCommand": shlex.join(_beside("dial.py")) + " %h %p",
        "ProxyUseFdpass": "yes",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "3",
        "ControlMaster": "auto",
        "ControlPath": f"{settings.run_dir}/ssh-%C",
        "ControlPersist": "20",
        "LogLevel": "ERROR",
    }
    shell = ["ssh", "-F", "/dev/null", "-i", str(settings.ssh_key), "-p", port or "22"]
    for name, value in options.items():
        shell += ["-o", f"{name}={value}"]
    return Link(host, shell, lambda: policy.now(settings).kib_s)
