"""What aboard touches beside its own files: commands, clocks, the boot, sockets."""

from __future__ import annotations

import ctypes
import http.client
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from .steps import Step

_ANSWER_LIMIT = 64 << 10
_OUTPUT_LIMIT = 16 << 10


@dataclass(frozen=True)
class Completed:
    """How a command ended: its exit code, and the end of what it printed."""

    code: int
    output: str


class Run(Protocol):
    """Runs a command on this host."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: bytes | None = None,
    ) -> Completed: ...


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
) -> Completed:
    """Run a command, as another user where one is named; one that hangs is ended and has failed."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            env=None if env is None else dict(env),
            cwd=cwd,
        )
    except subprocess.TimeoutExpired as error:
        printed = (error.output or b"").decode(errors="replace")[-_OUTPUT_LIMIT:]
        return Completed(124, f"{printed}\nended after {timeout_s:.0f} s")
    except (OSError, LookupError) as error:
        return Completed(127, f"{argv[0]}: {error}")
    return Completed(done.returncode, done.stdout.decode(errors="replace")[-_OUTPUT_LIMIT:])


def ask(path: Path, target: str, timeout_s: float) -> tuple[int, bytes]:
    """GET over a unix socket: the status and at most 64 KiB of the answer.

    Raises:
        OSError: nobody listens, or not in time.
        http.client.HTTPException: what answered does not speak HTTP.
    """
    connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(timeout_s)
        connection.sock.connect(str(path))
        connection.request("GET", target, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(_ANSWER_LIMIT)
    finally:
        connection.close()


def boot_id() -> str:
    """This boot's own name; another one after each start of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def flush(folder: Path) -> None:
    """Bring all of a file system to the disk: one call for a tree instead of one for each file.

    Raises:
        OSError: something could not be written; unlike `os.sync`, syncfs tells.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)


def memory() -> float:
    """The share of this host's memory that can be had without pushing anything out."""
    words = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kib = {word[0]: int(word[1]) for word in words}
    return kib["MemAvailable:"] / kib["MemTotal:"]


def seconds_since_boot() -> float:
    """A clock that no wrong time of day moves, for deadlines within one boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def nowhere(step: Step) -> None:
    """The `at` of a run that nobody interrupts."""


@dataclass(frozen=True)
class World:
    """Everything that a run of aboard needs from its surroundings.

    Args:
        root: "/" on a host; a temporary folder in tests.
        python: the interpreter that releases link to.
        python_version: its minor version, to compare with the manifest's.
        machine: the processor, as the end of a platform tag says it.
        user: who runs a release's setup commands; None for whoever runs aboard.
        at: called before each step.
    """

    root: Path = Path("/")
    python: Path = Path("/usr/bin/python3")
    python_version: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine: str = field(default_factory=platform.machine)
    user: str | None = "turnaround"
    run: Run = run
    ask: Callable[[Path, str, float], tuple[int, bytes]] = ask
    since_boot: Callable[[], float] = seconds_since_boot
    boot_id: Callable[[], str] = boot_id
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    sleep: Callable[[float], None] = time.sleep
    flush: Callable[[Path], None] = flush
    free: Callable[[Path], int] = field(default=lambda folder: shutil.disk_usage(folder).free)
    memory: Callable[[], float] = memory
    at: Callable[[Step], None] = nowhere

    @property
    def home(self) -> Path:
        """Where blobs, releases and current are."""
        return self.root / "opt/turnaround"

    @property
    def state_folder(self) -> Path:
        """Where aboard remembers."""
        return self.root / "var/lib/turnaround/aboard"

    @property
    def signers(self) -> Path:
        """Whose releases this host takes, in OpenSSH's format of allowed signers."""
        return self.root / "etc/turnaround/keys/release_signers"

    @property
    def fleet_file(self) -> Path:
        """The name of the fleet that this host is of."""
        return self.root / "etc/turnaround/fleet_name"

    @property
    def env_file(self) -> Path:
        """The settings that the units of a release read, and so its setup commands."""
        return self.root / "etc/turnaround/app.env"

    def inside(self, path: str) -> Path:
        """An absolute path of the host, below this root."""
        return self.root / path.lstrip("/")

    def release(self, kind: str, version: str) -> Path:
        """Where a release is, or would be."""
        return self.home / "releases" / kind / version

    def link(self, kind: str) -> Path:
        """The symlink that says which release is current."""
        return self.home / "current" / kind

    def kinds(self) -> list[str]:
        """The kinds of which a release is current."""
        return sorted(path.name for path in (self.home / "current").glob("[!.]*"))

    def current(self, kind: str) -> str | None:
        """The version that is current, or None before the first."""
        try:
            return os.path.basename(os.readlink(self.link(kind)))
        except FileNotFoundError:
            return None

    def stamp(self) -> str:
        """Now, for people, in UTC."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
