"""The tools we are compared with, in an environment of their own: pyinfra wants an older paramiko."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from ci.lab import shell
from fleet.cache import cache_folder

TOP = Path(__file__).resolve().parents[2]
LOCK = TOP / "requirements" / "peers.txt"
INSTALL_S = 900


def environment(say: Callable[[str], None]) -> Path:
    """Returns the folder of the environment's programs, after making it when it is not there.

    Args:
        say: takes the one line that says that it is being made.

    Raises:
        LabFault: it could not be made.
    """
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    made_from = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    place = cache / f"peers-{made_from}"
    with (cache / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            say(f"bench: making the peers' environment in {place} (once, about a minute)")
            shutil.rmtree(place, ignore_errors=True)
            shell.run([sys.executable, "-m", "venv", str(place)])
            pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
            argv = [*pip, "--disable-pip-version-check", "--requirement", str(LOCK)]
            shell.run(argv, timeout_s=INSTALL_S)
            (place / "made").touch()
    return place / "bin"
