"""The files of artifacts on this host, each once, by hash; what has a name here is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import disk
from .errors import AboardError, ManifestError
from .manifest import NAME, File, Manifest, parse
from .stream import END, FILE, Reader
from .world import World

_CHUNK = 1 << 20


def place(world: World, sha256: str) -> Path:
    """Where the file of that hash is, or would be."""
    return world.home / "blobs" / sha256[:2] / sha256


def missing(world: World, manifest: Manifest) -> dict[str, int]:
    """Size by hash of the files that this host lacks, in the manifest's order."""
    lacking = {}
    for sha256, size in manifest.sizes.items():
        try:
            whole = place(world, sha256).stat().st_size == size
        except FileNotFoundError:
            whole = False
        if not whole:
            lacking[sha256] = size
    return lacking


def receive(world: World, manifest: Manifest, stream: Reader) -> None:
    """Take the files out of a stream into the store.

    Args:
        manifest: what the stream announced; a file that it does not name is refused.
        stream: after its manifest frame.

    Raises:
        ManifestError: a file is not what the manifest says; the text names it.
        StreamCut: the stream ended too early; the files before that are kept.
        AboardError: the stream is whole, but this host still lacks a file.
    """
    names = {file.sha256: file for file in reversed(manifest.files)}
    while (frame := stream.next()).kind != END:
        file = names.get(frame.sha256)
        if frame.kind != FILE or file is None:
            raise ManifestError(
                f"the stream holds {frame.sha256[:12]}, which the manifest does not name; nothing "
                f"of {manifest.kind} {manifest.version} was taken in: build and send again"
            )
        path = place(world, file.sha256)
        disk.make_folder(path.parent)
        disk.write(path, _checked(stream.content(frame, file.size), file, manifest), 0o444)
    if lacking := missing(world, manifest):
        name = names[next(iter(lacking))].path
        raise AboardError(
            f"{len(lacking)} files did not come and are not here, the first is {name}; "
            "nothing was switched: run the same command again"
        )


def _checked(pieces: Iterable[bytes], file: File, manifest: Manifest) -> Iterator[bytes]:
    """Passes the bytes on and refuses them at the end when they are not the file's."""
    digest = hashlib.sha256()
    size = 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        yield piece
    if digest.hexdigest() != file.sha256:
        raise ManifestError(
            f"{file.path}: expected sha256 {file.sha256[:12]}… ({file.size} bytes), found "
            f"{digest.hexdigest()[:12]}… ({size} bytes); nothing of {manifest.kind} "
            f"{manifest.version} was taken in: build and send again"
        )


def verified(world: World, file: File) -> Path:
    """The file's place in the store, after its bytes were read and hashed again.

    Raises:
        AboardError: the disk changed it meanwhile; it was removed, so that the next run sends it.
    """
    path = place(world, file.sha256)
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(_CHUNK):
            digest.update(piece)
    if digest.hexdigest() != file.sha256:
        path.unlink()
        raise AboardError(
            f"{path} ({file.path}) is damaged on this disk; it was removed: run the same command "
            "again, and have the disk looked at"
        )
    return path


def manifest_of(release: Path) -> Manifest:
    """The manifest that a release carries."""
    return parse((release / NAME).read_bytes(), str(release / NAME))


def collect(world: World) -> int:
    """Remove what no release names; returns how many files went.

    A release whose manifest cannot be read keeps everything: in doubt nothing is removed.
    """
    named: set[str] = set()
    for path in (world.home / "releases").glob(f"*/*/{NAME}"):
        try:
            named |= manifest_of(path.parent).sizes.keys()
        except ManifestError:
            return 0
    gone = 0
    for path in (world.home / "blobs").glob("??/*"):
        if path.name not in named:
            path.unlink()
            gone += 1
    return gone
