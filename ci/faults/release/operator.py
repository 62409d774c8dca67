"""An operator's process, which a row kills: it ships one artifact and prints each step as it hears of it.

python -m ci.faults.release.operator LAB PORT MANIFEST
"""

from __future__ import annotations

import sys
from pathlib import Path

from ci.faults.release.stand import Stand
from ci.lab import Lab
from fleet import release
from fleet.aboard.envelope import NAME
from fleet.aboard.manifest import parse
from fleet.artifact import Artifact
from fleet.ssh import Connection


def main(lab: str, port: str, manifest: str) -> None:
    """Ships it, over the way that begins at this port."""
    path = Path(manifest)
    blobs, sealed = path.parent.parent.parent / "blobs", path.with_name(NAME).read_bytes()
    artifact = Artifact(parse(path.read_bytes()), blobs, sealed)
    connection = Connection(Stand(Lab.load(lab)).endpoint(int(port)))
    release.deploy(connection, artifact, lambda step: print(step, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
