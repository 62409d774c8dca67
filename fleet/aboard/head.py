"""The head of a stream: what the artifact is and who lets it in, checked before any file is taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from . import disk, envelope
from . import state as states
from .envelope import Envelope
from .errors import AboardError, ManifestError
from .manifest import MANIFEST_LIMIT, Manifest, parse
from .state import Taken
from .stream import ENVELOPE, ENVELOPE_LIMIT, MANIFEST, OFFERED, Frame, Reader
from .world import World


@dataclass(frozen=True)
class Head:
    """What came before the files.

    Args:
        manifest: the artifact's.
        text: the manifest's bytes as they came.
        envelope: checked: it is for this manifest and this host.
        sealed: its bytes as they came.
    """

    manifest: Manifest
    text: bytes
    envelope: Envelope
    sealed: bytes

    @property
    def taken(self) -> Taken:
        """What this host remembers when it takes the artifact in."""
        return Taken(self.envelope.counter, self.envelope.manifest)


def read(world: World, stream: Reader) -> Head:
    """Read the head of a stream and refuse what may not be taken in here; changes nothing.

    Raises:
        ManifestError: no good manifest, no envelope, or not one that lets it in.
        AboardError: the manifest was to be the one that was offered, and that is not here any more.
    """
    frame = stream.next()
    if frame.kind == OFFERED:
        text = _offered(world, frame.sha256)
    elif frame.kind == MANIFEST:
        text = _whole(stream, frame, MANIFEST_LIMIT, "manifest")
    else:
        raise ManifestError("the stream does not begin with a manifest; build and send again")
    manifest = parse(text)
    sealed = stream.next()
    if sealed.kind != ENVELOPE:
        raise ManifestError(
            f"{manifest.kind} {manifest.version}: expected a signed envelope behind the manifest, found "
            "none; nothing was taken in: send it with fab, which signs"
        )
    content = _whole(stream, sealed, ENVELOPE_LIMIT, "envelope")
    taken = states.load(world).taken.get(manifest.kind)
    said = envelope.check(world, manifest, frame.sha256, content, taken)
    return Head(manifest, text, said, content)


def keep(world: World, head: Head) -> None:
    """Keep an offered manifest, so that its hash stands for it when the files come."""
    folder = world.state_folder / "offered"
    disk.make_folder(folder)
    disk.write(folder / f"{head.manifest.kind}.json", [head.text])


def _offered(world: World, sha256: str) -> bytes:
    for path in (world.state_folder / "offered").glob("*.json"):
        text = path.read_bytes()
        if hashlib.sha256(text).hexdigest() == sha256:
            return text
    raise AboardError(
        f"the manifest {sha256[:12]}… was offered and is not here any more, because another was offered "
        "meanwhile; nothing was changed: run the same command again"
    )


def _whole(stream: Reader, frame: Frame, limit: int, what: str) -> bytes:
    text = b"".join(stream.content(frame, limit))
    if (found := hashlib.sha256(text).hexdigest()) != frame.sha256:
        raise ManifestError(
            f"{what}: expected sha256 {frame.sha256[:12]}…, found {found[:12]}…; nothing was "
            "taken in: send again"
        )
    return text
