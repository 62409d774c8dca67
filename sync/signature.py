"""Signatures of what the hangar and aircraft tell each other in files: OpenSSH's, by keys they have.

The format is SSHSIG (OpenSSH, `PROTOCOL.sshsig`), armoured, made and checked by `ssh-keygen -Y`. It holds
for this purpose alone, the namespace `turnaround-sync`. Signers are in a file as ssh-keygen(1) describes
it under ALLOWED SIGNERS: a principal and its public key on each line.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

__all__ = ["NAMESPACE", "BadSignature", "attach", "detach", "sign", "verify"]

NAMESPACE = "turnaround-sync"
# It reads what is signed once, from memory.
SECONDS = 60
_MARK = b',"signature":'


class BadSignature(Exception):
    """Something was not signed by whom it should be, or cannot be signed; the message says what."""


def sign(key: Path, data: bytes) -> bytes:
    """Return a signature of the data, armoured, by the private key in a file.

    With Ed25519 equal data gives an equal signature. Raises `BadSignature` when the key is of no use.

    >>> sign(Path("/etc/turnaround/keys/dispatch_ed25519"), b"…")[:29]  # doctest: +SKIP
    b'-----BEGIN SSH SIGNATURE-----'
    """
    done = _run(["sign", "-f", str(key)], data)
    if done.returncode:
        raise BadSignature(
            f"{key} signs nothing: {_said(done)}. Converging this host makes keys and sets their modes"
        )
    return done.stdout


def verify(signers: Path, principal: str, data: bytes, signature: bytes) -> None:
    """Return when the data was signed by a key of the principal; raises `BadSignature` otherwise.

    Arguments: `signers` is the file of who may sign; `signature` came with the data, from outside.
    """
    if not signers.is_file():
        raise BadSignature(
            f"{signers} is not there, which says whose signature counts; converge this host, "
            "which writes it"
        )
    descriptor = os.memfd_create("signature")
    try:
        os.write(descriptor, signature[:65536])
        done = _run(
            ["verify", "-f", str(signers), "-I", principal, "-s", f"/dev/fd/{descriptor}"],
            data,
            descriptor,
        )
    finally:
        os.close(descriptor)
    if done.returncode:
        raise BadSignature(
            f"expected the signature of {principal}, found none that counts: {_said(done)}. Converging "
            "the hangar and this aircraft renews whose keys are known"
        )


def attach(told: bytes, signature: bytes) -> bytes:
    """Return one file of what was signed, a JSON object but for its last brace, and its signature."""
    return told + _MARK + json.dumps(signature.decode()).encode() + b"}\n"


def detach(data: bytes) -> tuple[bytes, bytes]:
    """Return what was signed and its signature, of which nothing is checked yet.

    Raises `BadSignature` when there is none at the end.

    >>> detach(attach(b'{"items":[]', b"ok"))
    (b'{"items":[]', b'ok')
    """
    told, mark, rest = data.rpartition(_MARK)
    try:
        signature = json.loads(rest[:-2]) if mark and rest.endswith(b"}\n") else ""
    except (ValueError, RecursionError):
        signature = ""
    if not isinstance(signature, str) or not signature:
        raise BadSignature("expected a signature at its end, found none: it is cut or old")
    return told, signature.encode(errors="replace")


def _run(arguments: list[str], data: bytes, *kept: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["ssh-keygen", "-Y", *arguments, "-n", NAMESPACE],
        input=data,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        pass_fds=kept,
    )


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return said[0] if said else f"ssh-keygen ended with {done.returncode}"
