"""The tools we are compared with, in an environment of their own: pyinfra wants an older paramiko."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fleet.cache import cache_folder
from fleet.errors import FleetError

TOP = Path(__file__).resolve().parents[2]
LOCK = TOP / "requirements" / "peers.txt"
INSTALL_S = 900


def environment(say: Callable[[str], None]) -> Path:
    """Returns the folder of the environment's programs, after making it when it is not there.

    Args:
        say: takes the one line that says that it is being made.

    Raises:
        FleetError: it could not be made.
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
            _run([sys.executable, "-m", "venv", str(place)])
            pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
            _run([*pip, "--disable-pip-version-check", "--requirement", str(LOCK)])
            (place / "made").touch()
    return place / "bin"


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    if done.returncode:
        raise FleetError(f"the peers' environment: {done.stderr.strip()[-500:]}")
