"""The hangar's shelf: the artifacts that campaigns ship, laid out as a folder of builds is.

They come in the stream in which an aircraft gets them, and only the files that are not here yet travel. The
hangar signs nothing: what it ships is what ops built, and each aircraft judges that for itself.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from fleet.aboard import disk, store
from fleet.aboard.errors import ManifestError
from fleet.aboard.manifest import MANIFEST_LIMIT, NAME, parse
from fleet.aboard.stream import MANIFEST, Reader
from fleet.aboard.world import World
from fleet.artifact import Artifact
from fleet.errors import FleetError

FRESH_S = 24 * 3600
"""What came in so lately may be what a campaign is just being started with."""


class Shelf(World):
    """A folder of artifacts, as aboard's store sees it.

    Example:
        >>> Shelf(Path("/var/lib/turnaround/artifacts")).get("onboard", version)  # doctest: +SKIP
        Artifact(…)
    """

    @property
    def home(self) -> Path:
        """Where blobs are."""
        return self.root

    def offer(self, text: bytes) -> dict[str, object]:
        """Answers which of a manifest's files are missing here, as `aboard offer` does.

        Raises:
            ManifestError: it is no good manifest.
        """
        manifest = parse(text)
        missing = list(store.missing(self, manifest))
        place = self._folder(manifest.kind, manifest.version) / NAME
        here = not missing and place.exists() and place.read_bytes() == text
        return {
            "kind": manifest.kind,
            "version": manifest.version,
            "missing": missing,
            "current": manifest.version if here else None,
            "stage": "confirmed" if here else None,
        }

    def accept(self, source: BinaryIO) -> dict[str, object]:
        """Takes an artifact in; what is here under its name is whole.

        Args:
            source: one stream as `fleet.aboard.stream` defines it.

        Raises:
            ManifestError: it is no good artifact.
            fleet.aboard.errors.AboardError: it did not come whole; the same again goes on.
        """
        stream = Reader(source)
        frame = stream.next()
        if frame.kind != MANIFEST:
            raise ManifestError("the stream does not begin with a manifest; build and send again")
        text = b"".join(stream.content(frame, MANIFEST_LIMIT))
        if hashlib.sha256(text).hexdigest() != frame.sha256:
            raise ManifestError("the manifest was damaged on the way; send again")
        manifest = parse(text)
        store.receive(self, manifest, stream)
        folder = self._folder(manifest.kind, manifest.version)
        disk.make_folder(folder)
        disk.write(folder / NAME, [text])
        return {
            "result": "confirmed",
            "kind": manifest.kind,
            "version": manifest.version,
            "former": None,
            "reason": None,
        }

    def get(self, kind: str, version: str) -> Artifact:
        """The artifact of that name, every file of it read again.

        Raises:
            FleetError: it is not here, or not whole.
        """
        place = self._folder(kind, version) / NAME
        try:
            manifest = parse(place.read_bytes(), str(place))
        except FileNotFoundError:
            raise FleetError(
                f"{kind} {version} is not on the hangar's shelf ({place})",
                "fab campaign.start with the same artifact brings it there",
            ) from None
        return Artifact(manifest, self.root / "blobs").verify()

    def collect(self, keep: Collection[tuple[str, str]]) -> None:
        """Removes what no campaign ships any more; what is fresh stays."""
        named: set[str] = set()
        for place in self.root.glob(f"*/*/{NAME}"):
            folder, manifest = place.parent, parse(place.read_bytes(), str(place))
            fresh = time.time() - place.stat().st_mtime < FRESH_S
            if fresh or (manifest.kind, manifest.version) in keep:
                named |= manifest.sizes.keys()
            else:
                shutil.rmtree(folder)
        for path in self.root.glob("blobs/??/*"):
            if path.name not in named and time.time() - path.stat().st_mtime > FRESH_S:
                path.unlink()

    def _folder(self, kind: str, version: str) -> Path:
        return self.root / kind / version


def shelf(folder: Path) -> Shelf:
    """The shelf in a folder, which need not be there yet."""
    return Shelf(root=folder)
