"""The hangar's shelf: the artifacts that campaigns ship, laid out as a folder of builds is.

They come in the stream in which an aircraft gets them, and only the files that are not here yet travel. The
hangar has no key to sign with: what it ships is what ops built and signed, and each aircraft checks that for
itself. The shelf checks it too, so that ops are told now and not an aircraft in a week.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fleet.aboard import disk, envelope, head, store
from fleet.aboard.errors import ManifestError
from fleet.aboard.manifest import NAME, parse
from fleet.aboard.stream import Reader
from fleet.aboard.world import World
from fleet.artifact import Artifact
from fleet.errors import FleetError

FRESH_S = 24 * 3600
"""What came in so lately may be what a campaign is just being started with."""


@dataclass(frozen=True)
class Shelf(World):
    """A folder of artifacts (`root`), as aboard's store sees it.

    Args:
        host: where the file of those who may sign is, and the fleet's name.

    Example:
        >>> Shelf(Path("/var/lib/turnaround/artifacts")).get("onboard", version)  # doctest: +SKIP
        Artifact(…)
    """

    host: Path = Path("/")

    @property
    def home(self) -> Path:
        """Where blobs are."""
        return self.root

    @property
    def state_folder(self) -> Path:
        """Where a manifest waits for its files."""
        return self.root / "arriving"

    @property
    def signers(self) -> Path:
        """Whose releases are taken in."""
        return World(self.host).signers

    @property
    def fleet_file(self) -> Path:
        """Which fleet this is."""
        return World(self.host).fleet_file

    def offer(self, source: BinaryIO) -> dict[str, object]:
        """Answers which of an artifact's files are missing here, as `aboard offer` does.

        Raises:
            ManifestError: it is no good manifest, or nobody's who may sign.
        """
        given = head.read(self, Reader(source))
        head.keep(self, given)
        manifest = given.manifest
        missing = list(store.missing(self, manifest))
        folder = self._folder(manifest.kind, manifest.version)
        held = {NAME: given.text, envelope.NAME: given.sealed}
        here = not missing and all(_is(folder / name, text) for name, text in held.items())
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
        given = head.read(self, stream)
        manifest = given.manifest
        store.receive(self, manifest, stream)
        folder = self._folder(manifest.kind, manifest.version)
        disk.make_folder(folder)
        disk.write(folder / envelope.NAME, [given.sealed])
        disk.write(folder / NAME, [given.text])
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
        sealed = (place.parent / envelope.NAME).read_bytes()
        return Artifact(manifest, self.root / "blobs", sealed).verify()

    def collect(self, keep: Collection[tuple[str, str]]) -> None:
        """Removes what no campaign ships any more; what is fresh stays.

        Raises:
            ManifestError: one of `keep` cannot be read, so it is not known which files are its own.
        """
        named: set[str] = set()
        for place in self.root.glob(f"*/*/{NAME}"):
            folder = place.parent
            wanted = (folder.parent.name, folder.name) in keep
            fresh = time.time() - place.stat().st_mtime < FRESH_S
            try:
                files = parse(place.read_bytes(), str(place)).sizes.keys()
            except ManifestError:
                if wanted:
                    raise
                # The release before this one had another format.
                shutil.rmtree(folder)
                continue
            if wanted or fresh:
                named |= files
            else:
                shutil.rmtree(folder)
        for path in self.root.glob("blobs/??/*"):
            if path.name not in named and time.time() - path.stat().st_mtime > FRESH_S:
                path.unlink()

    def _folder(self, kind: str, version: str) -> Path:
        return self.root / kind / version


def _is(path: Path, text: bytes) -> bool:
    return path.exists() and path.read_bytes() == text


def shelf(folder: Path) -> Shelf:
    """The shelf in a folder, which need not be there yet."""
    return Shelf(root=folder)
