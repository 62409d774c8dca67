"""Envelopes as ops make them: an artifact or a configuration is signed with the signing key of ops.

The key lies with the other keys, apart from the one that opens hosts: `signing_ed25519`, or its public half
where an SSH agent holds it. Hosts know the public half from the inventory (`release_signers`).
"""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from fleet import artifact
from fleet.aboard import envelope
from fleet.aboard.envelope import Envelope
from fleet.artifact import Artifact
from fleet.errors import FleetError, UsageError

KEY = "signing_ed25519"
SIGN_S = 300.0
"""It may ask for a passphrase, or an agent for a touch."""


def key_in(folder: Path) -> Path:
    """Returns the signing key of ops, or its public half where an agent holds it.

    Args:
        folder: the inventory's keys.

    Raises:
        UsageError: there is neither.

    >>> key_in(Path("/home/ops/.config/turnaround/lab"))  # doctest: +SKIP
    PosixPath('/home/ops/.config/turnaround/lab/signing_ed25519')
    """
    path = folder / KEY
    for each in (path, path.with_name(f"{KEY}.pub")):
        if each.exists():
            return each
    raise UsageError(
        f"there is no signing key at {path}, nor its public half, and hosts take nothing unsigned",
        f"make one: ssh-keygen -t ed25519 -f {path}; then add {path}.pub to release_signers of the "
        "inventory and converge",
    )


def seal(built: Artifact, key: Path, fleet: str, counter: int, by: str) -> Artifact:
    """Returns an artifact with an envelope that lets it onto the hosts of a fleet.

    Args:
        built: what was built.
        key: as `key_in` names it.
        fleet: its name.
        counter: issued by the hangar for this.
        by: who signs.

    Raises:
        FleetError: the key cannot be used.
    """
    manifest = built.manifest
    digest = hashlib.sha256(manifest.dump()).hexdigest()
    said = Envelope(fleet, manifest.kind, manifest.version, digest, counter, now(), by)
    return artifact.sealed(built, signed(said, key, envelope.RELEASE))


def signed(said: Envelope, key: Path, namespace: str) -> bytes:
    """Returns an envelope's bytes, signed in a namespace.

    Raises:
        FleetError: ssh-keygen is missing, or does not sign with the key.
    """
    text = said.text()
    argv = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", namespace]
    try:
        done = subprocess.run(
            argv, input=text.encode(), capture_output=True, check=False, timeout=SIGN_S
        )
    except FileNotFoundError as error:
        raise FleetError(
            "ssh-keygen is not installed", "on Debian: apt-get install openssh-client"
        ) from error
    except subprocess.TimeoutExpired:
        raise FleetError(f"{key}: ssh-keygen did not sign within {SIGN_S:g} s") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise FleetError(
            f"{key}: ssh-keygen does not sign with it: {' / '.join(words[-3:]) or 'no reason given'}",
            "where an SSH agent holds it: ssh-add -l says whether it does; else the private key must be "
            "there, readable for nobody else",
        )
    return envelope.pack(text, done.stdout.decode())


def now() -> str:
    """Returns the time as envelopes have it, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
