"""Artifacts that are made in milliseconds: a wheel, a page of each release's own, and one that all share."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fleet import artifact, envelope
from fleet.aboard import manifest as manifests
from fleet.artifact import Artifact

KIND = "onboard"
SOCKET = "/run/turnaround/api.sock"
BESIDE = "turnaround-api"
AGENT = "turnaround-agent.service"
FLEET = "faults"
PACKAGE = "faults_app"
SOURCES = Path(__file__).parent / PACKAGE
LARGE = 300_000


@dataclass(frozen=True)
class Made:
    """An artifact, and what a release made of it holds.

    Args:
        number: which; it is part of the version, so that a higher one is a later one.
        artifact: as a build would have left it.
        sums: SHA-256 of the files of a release by path, of those that tell one release from another.
    """

    number: int
    artifact: Artifact
    sums: Mapping[str, str]

    @property
    def version(self) -> str:
        return self.artifact.manifest.version

    @property
    def revision(self) -> str:
        return self.artifact.manifest.revision


def make(number: int, out: Path, key: Path, behaviour: str = "good") -> Made:
    """Makes the artifact of that number, and signs it.

    Args:
        number: 1 or more; its counter too.
        out: the folder of all builds.
        key: who signs.
        behaviour: `good`, or what is wrong: `setup-fails`, `agent-fails`, `dies`, `flaps`, `ill`.
    """
    code = {path.name: path.read_bytes() for path in SOURCES.glob("*.py")}
    code["number.py"] = f"NUMBER = {number}\nBEHAVIOUR = {behaviour!r}\n".encode()
    contents = {
        "wheels/faults_app-1-py3-none-any.whl": _wheel(code),
        "pages/number.txt": f"{number}\n".encode(),
        "pages/same.txt": b"the same in all releases\n" * 100,
        "pages/large.bin": Random(number).randbytes(LARGE),
    }
    files = [_keep(content, path, out) for path, content in contents.items()]
    document = {
        "format": manifests.FORMAT,
        "kind": KIND,
        "version": f"{20260101000000 + number}-{number:012x}",
        "revision": f"{number:040x}",
        "python": "3.13",
        "platform": None,
        "files": [{"path": one.path, "sha256": one.sha256, "size": one.size} for one in files],
        "wheels": [path for path in contents if path.endswith(".whl")],
        "setup": [["bin/python", "-m", f"{PACKAGE}.setup"]],
        "units": [AGENT],
        "beside": [{"unit": f"{BESIDE}@.service", "socket": SOCKET}],
        "health": {"socket": SOCKET, "path": "/health"},
    }
    made = envelope.seal(
        artifact.save(manifests.parse(json.dumps(document).encode()), out),
        key,
        FLEET,
        number,
        "ops",
    )
    site = f"lib/python3.13/site-packages/{PACKAGE}"
    plain = {path: text for path, text in contents.items() if not path.endswith(".whl")}
    held = {**plain, **{f"{site}/{name}": text for name, text in code.items()}}
    held["manifest.json"] = made.manifest.dump()
    return Made(number, made, {path: _sum(text) for path, text in held.items()})


def _keep(content: bytes, path: str, out: Path) -> manifests.File:
    with tempfile.NamedTemporaryFile() as source:
        source.write(content)
        source.flush()
        return artifact.keep(Path(source.name), path, out)


def _wheel(code: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in sorted(code.items()):
            archive.writestr(zipfile.ZipInfo(f"{PACKAGE}/{name}"), text)
    return buffer.getvalue()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
