"""The wheels of a lock for the hosts' Python: asked of pip once, then from a folder that knows hashes."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.artifact import hash_of
from fleet.build_deadline import deadline
from fleet.cache import cache_folder
from fleet.errors import FleetError, UsageError

PYTHON = "3.13"
PLATFORM = "manylinux_2_28_x86_64"
# What a host with glibc 2.41 can load, newest first; pip takes the first that a wheel has.
_PLATFORMS = (PLATFORM, "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?==([A-Za-z0-9.!+_-]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One line of a lock: a version, and the hashes its files may have."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """As a requirements file has it."""
        return " ".join(
            [f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)]
        )


def read_lock(text: str, source: str) -> tuple[Pin, ...]:
    """The pins of a requirements file.

    Args:
        text: its contents; only pins with hashes, no options, no conditions: the lock is made for one
            Python on one platform.
        source: how errors name it.

    Raises:
        UsageError: naming the line and what is expected there.
    """
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        pin = _PIN.fullmatch(words[0])
        hashes = [_HASH.fullmatch(word) for word in words[1:]]
        if not pin or not hashes or not all(hashes):
            raise UsageError(
                f"{source}: expected NAME==VERSION --hash=sha256:…, found {' '.join(words)[:120]!r}",
                "write the lock anew: ./inv lock",
            )
        found = tuple(match[1] for match in hashes if match)
        pins.append(Pin(pin[1] + (pin[2] or ""), pin[3], found))
    return tuple(pins)


Download = Callable[[Sequence[Pin], Path], None]
"""Puts the wheels of these pins into a folder."""


def download(pins: Sequence[Pin], into: Path) -> None:
    """Ask pip for wheels that run on the hosts.

    Raises:
        FleetError: it cannot have them; with the end of what pip says.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("".join(f"{pin.line}\n" for pin in pins))
        lock.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--python-version", PYTHON, "--implementation", "cp"]
        for platform in _PLATFORMS:
            command += ["--platform", platform]
        command += ["--dest", str(into), "--requirement", lock.name]
        with deadline(f"pip download of {len(pins)} wheels"):
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=1800
            )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        said = "\n  ".join(errors[-5:]) or done.stderr.strip()[-500:]
        raise FleetError(
            f"pip cannot have {len(pins)} wheels for Python {PYTHON}, {PLATFORM}:\n  {said}",
            "is the package index reachable? A build whose wheels were had once needs none",
        )


@dataclass(frozen=True)
class Wheelhouse:
    """Wheels that were had once, each in a folder of its hash.

    Args:
        folder: outside every checkout, shared by them.
        download: where those come from that are not there.
    """

    folder: Path
    download: Download = download

    def wheels(self, pins: Sequence[Pin]) -> tuple[Path, ...]:
        """The wheel of each pin, from here or fetched now.

        Raises:
            FleetError: one cannot be had.
        """
        found = {pin: self._find(pin) for pin in pins}
        missing = [pin for pin, path in found.items() if path is None]
        if missing:
            self._fetch(missing)
            found |= {pin: self._find(pin) for pin in missing}
        for pin, path in found.items():
            if path is None:
                raise FleetError(
                    f"{pin.name} {pin.version}: no wheel with a hash of the lock was found",
                    "write the lock anew: ./inv lock",
                )
        return tuple(path for path in found.values() if path is not None)

    def _find(self, pin: Pin) -> Path | None:
        for sha256 in pin.hashes:
            for path in (self.folder / sha256).glob("*.whl"):
                if hash_of(path)[0] == sha256:
                    return path
                path.unlink()  # the disk changed it; it is had again
        return None

    def _fetch(self, pins: Sequence[Pin]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as arriving:
            self.download(pins, Path(arriving))
            for path in Path(arriving).glob("*.whl"):
                place = self.folder / hash_of(path)[0]
                place.mkdir(exist_ok=True)
                path.rename(place / path.name)


def wheelhouse() -> Wheelhouse:
    """The wheels of this machine for the hosts' Python and platform."""
    return Wheelhouse(cache_folder() / "wheels" / f"cp{PYTHON.replace('.', '')}-{PLATFORM}")
