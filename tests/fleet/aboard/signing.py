"""Keys that sign in earnest, and hosts that look: OpenSSH's own program at both ends."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from fleet import envelope as desk
from fleet.aboard import world
from fleet.aboard.envelope import CONFIGURATION, RELEASE, Envelope
from tests.fleet.aboard.host import FLEET, Built, Host


@dataclass(frozen=True)
class Signer:
    """A signing key of ops, in a folder of its own."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / desk.KEY

    @property
    def line(self) -> str:
        """What a host has of it."""
        public = self.key.with_suffix(".pub").read_text()
        return f'release namespaces="{RELEASE},{CONFIGURATION}" {public}'

    def seal(self, built: Built, *, namespace: str = RELEASE, **changed: object) -> bytes:
        """The envelope of an artifact, or one that says something else of it."""
        return desk.signed(replace(built.said(), **changed), self.key, namespace)  # type: ignore[arg-type]

    def sign(self, said: Envelope, namespace: str) -> bytes:
        return desk.signed(said, self.key, namespace)


def signer(folder: Path | None = None) -> Signer:
    """A new key."""
    found = Signer(folder or Path(tempfile.mkdtemp()))
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "eva", "-f", str(found.key)]
    subprocess.run(argv, check=True, timeout=20)
    return found


def trust(root: Path, *signers: Signer) -> None:
    """Writes what the role writes: whose releases are taken in, and as which fleet's."""
    keys = root / "etc/turnaround/keys"
    keys.mkdir(parents=True, exist_ok=True)
    (keys / "release_signers").write_text("".join(each.line for each in signers))
    (root / "etc/turnaround/fleet_name").write_text(f"{FLEET}\n")


def earnest(host: Host) -> None:
    """Lets a test's host ask the real ssh-keygen."""
    told = host.world.run

    def run(argv, **how):  # type: ignore[no-untyped-def]
        return world.run(argv, **how) if argv[0] == "ssh-keygen" else told(argv, **how)

    host.world = replace(host.world, run=run)
