"""An artifact as it lies here: a manifest, and beside the builds the files it names, once, by hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.aboard import envelope
from fleet.aboard.manifest import NAME, File, Manifest
from fleet.errors import FleetError

_CHUNK = 1 << 20


class BadArtifact(FleetError):
    """What lies here is not what was built."""


@dataclass(frozen=True)
class Artifact:
    """A build that may be shipped.

    Args:
        manifest: what it consists of.
        blobs: the folder with its files, `ab/<sha256>`.
        envelope: who lets it onto hosts, signed; None until it is about to be shipped.
    """

    manifest: Manifest
    blobs: Path
    envelope: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of its files, each distinct one once."""
        return sum(self.manifest.sizes.values())

    def path(self, sha256: str) -> Path:
        """Where the file of that hash is."""
        return self.blobs / sha256[:2] / sha256

    def verify(self) -> Artifact:
        """Read every file again and compare it with the manifest; returns itself.

        Raises:
            BadArtifact: a file is missing or is not what was built; the text names it.
        """
        for file in self.manifest.files:
            path = self.path(file.sha256)
            if not path.is_file():
                raise self._bad(f"{file.path} is missing ({path})")
            found, size = hash_of(path)
            if (found, size) != (file.sha256, file.size):
                raise self._bad(
                    f"{file.path}: expected sha256 {file.sha256[:12]}… ({file.size} bytes), found "
                    f"{found[:12]}… ({size} bytes)"
                )
        return self

    def _bad(self, what: str) -> BadArtifact:
        kind, version = self.manifest.kind, self.manifest.version
        return BadArtifact(f"artifact {kind} {version}: {what}", f"build it again: {_again(self)}")


def _again(artifact: Artifact) -> str:
    manifest = artifact.manifest
    return f"rm -r {artifact.blobs} && ./inv build.{manifest.kind} --rev {manifest.revision[:12]}"


def save(manifest: Manifest, out: Path) -> Artifact:
    """Write a manifest to `<out>/<kind>/<version>/`, in one step; its files are there already."""
    folder = out / manifest.kind / manifest.version
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / NAME, manifest.dump())
    return Artifact(manifest, out / "blobs")


def sealed(artifact: Artifact, content: bytes) -> Artifact:
    """The artifact with its envelope, which is written beside the manifest in one step."""
    folder = artifact.blobs.parent / artifact.manifest.kind / artifact.manifest.version
    _replace(folder / envelope.NAME, content)
    return replace(artifact, envelope=content)


def keep(source: Path, path: str, out: Path) -> File:
    """Copy a file to `<out>/blobs` under its hash, and return how a manifest names it.

    Args:
        source: the file.
        path: its place in the release.
        out: the folder of all builds.
    """
    sha256, size = hash_of(source)
    target = out / "blobs" / sha256[:2] / sha256
    if not target.is_file() or hash_of(target)[0] != sha256:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, source)
    return File(path, sha256, size)


def files(entries: Iterable[File]) -> tuple[File, ...]:
    """The files in the one order that a manifest has."""
    return tuple(sorted(entries, key=lambda file: file.path))


def hash_of(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as content:
        while piece := content.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _replace(target: Path, content: bytes | Path) -> None:
    """Two builds may run at once, so a name stands only for what is whole."""
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "wb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file)
        else:
            file.write(content)
    os.chmod(name, 0o644)
    os.replace(name, target)
