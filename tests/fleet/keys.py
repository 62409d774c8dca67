"""Keys and inventories for tests that connect."""

from __future__ import annotations

import io
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def private_text() -> str:
    """A new Ed25519 private key, as it stands in a file."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        .decode()
    )


def new_key() -> paramiko.PKey:
    """A new Ed25519 key."""
    return paramiko.Ed25519Key.from_private_key(io.StringIO(private_text()))


def write_key(folder: Path) -> paramiko.PKey:
    """Makes `keys/ops_ed25519` beside an inventory."""
    path = folder / "keys/ops_ed25519"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(private_text())
    path.chmod(0o600)
    return paramiko.Ed25519Key.from_private_key_file(str(path))


def line_of(key: paramiko.PKey) -> str:
    """The public half, as it is pinned."""
    return f"{key.get_name()} {key.get_base64()}"
