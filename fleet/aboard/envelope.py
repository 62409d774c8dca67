"""The envelope of an artifact: who lets which manifest onto the hosts of which fleet, signed.

It lies beside the manifest, so that builds stay the same byte for byte:

    {"format": 1, "signed": "<JSON text>", "signature": "-----BEGIN SSH SIGNATURE-----…"}

The text is signed and checked by OpenSSH (`ssh-keygen -Y sign`, `-Y verify`; the signature's format is
its PROTOCOL.sshsig). An envelope is taken as it was written or not at all: whatever else would stand
for the same JSON or the same signature is refused.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import ManifestError
from .manifest import Manifest
from .state import Taken
from .stream import ENVELOPE_LIMIT
from .world import Run, World

FORMAT = 1
NAME = "envelope.json"
"""Its file name in a build's folder."""

RELEASE = "turnaround-release"
CONFIGURATION = "turnaround-configuration"
"""The namespaces: what was signed as the one is never taken for the other."""

IDENTITY = "release"
"""Who the signers are, in the first column of their file."""

VERIFY_S = 30.0
_MAGIC = b"SSHSIG\0\0\0\1"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_COLUMNS = 70
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Envelope:
    """What is signed.

    Args:
        fleet: whose hosts it is for.
        kind, version: of the artifact.
        manifest: the SHA-256 of the manifest's bytes; of a configuration's archive.
        counter: issued by the hangar; a host takes no lower one than it took before. 0 for a
            configuration, of which the last that came is what waits.
        at: when it was signed, UTC.
        by: who signed it.
    """

    fleet: str
    kind: str
    version: str
    manifest: str
    counter: int
    at: str
    by: str

    def text(self) -> str:
        """The text that is signed: equal envelopes give equal texts."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


def pack(text: str, signature: str) -> bytes:
    """The envelope's bytes.

    Args:
        text: what was signed.
        signature: as `ssh-keygen -Y sign` gave it.
    """
    document = {"format": FORMAT, "signed": text, "signature": signature}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def opened(content: bytes, source: str, signers: Path, namespace: str, run: Run) -> Envelope:
    """Read an envelope, after its signature was found to be that of one of the signers.

    Args:
        content: its bytes.
        source: how errors name it.
        signers: OpenSSH's file of allowed signers.
        namespace: what it must have been signed as.
        run: runs ssh-keygen.

    Raises:
        ManifestError: it is no envelope, or nobody's who may sign; with what to do.

    Example:
        >>> opened(content, "onboard 2026…", world.signers, RELEASE, world.run).by  # doctest: +SKIP
        'eva@desk'
    """
    text, signature = _unpacked(content, source)
    if not signers.is_file():
        raise ManifestError(
            f"{source}: expected {signers} with the keys whose signatures count, found none; name them "
            "in the inventory (release_signers) and converge this host"
        )
    with tempfile.TemporaryDirectory(prefix="turnaround-envelope-") as folder:
        path = Path(folder, "signature")
        path.write_text(signature)
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", IDENTITY, "-n", namespace]
        done = run([*argv, "-s", str(path)], timeout_s=VERIFY_S, stdin=text.encode())
    if done.code:
        said = " / ".join(done.output.split("\n")).strip(" /")
        raise ManifestError(
            f"{source}: expected the signature of a key in {signers}, as {namespace}, found another "
            f"({said[-300:]}); sign it with one of them, or name the key in the inventory "
            "(release_signers) and converge this host"
        )
    return _envelope(text, source)


def check(
    world: World, manifest: Manifest, sha256: str, content: bytes, taken: Taken | None
) -> Envelope:
    """Read the envelope that came with a manifest, and refuse it unless it is for that one, here, now.

    Args:
        manifest: what came.
        sha256: of its bytes.
        content: the envelope's bytes.
        taken: the highest counter that this host took of that kind.

    Raises:
        ManifestError: naming what was expected and what was found.
    """
    source = f"envelope of {manifest.kind} {manifest.version}"
    envelope = opened(content, source, world.signers, RELEASE, world.run)
    expect(envelope, source, world.fleet_file, manifest.kind, manifest.version, sha256)
    if taken and envelope.counter < taken.counter:
        raise ManifestError(
            f"{source}: expected a counter of {taken.counter} or more, found "
            f"{envelope.counter}; a newer {manifest.kind} was here: deploy again, which takes a new "
            "counter, or go back with fab rollback"
        )
    if taken and envelope.counter == taken.counter and sha256 != taken.manifest:
        raise ManifestError(
            f"{source}: expected counter {envelope.counter} to stand for the manifest "
            f"{taken.manifest[:12]}…, as before, found {sha256[:12]}…; deploy again, which takes a new "
            "counter"
        )
    return envelope


def expect(
    envelope: Envelope, source: str, fleet_file: Path, kind: str, version: str, sha256: str
) -> None:
    """Refuse an envelope that was signed for something else.

    Args:
        envelope: as `opened` gave it.
        source: how errors name it.
        fleet_file: the file with the name of the fleet that this host is of.
        kind, version, sha256: what came with it.

    Raises:
        ManifestError: naming what was expected and what was found.
    """
    try:
        fleet = fleet_file.read_text().strip()
    except FileNotFoundError as error:
        raise ManifestError(f"{fleet_file} is not here; converge this host first") from error
    for what, expected, found in (
        ("fleet", fleet, envelope.fleet),
        ("kind", kind, envelope.kind),
        ("version", version, envelope.version),
        ("sha256", sha256, envelope.manifest),
    ):
        if expected != found:
            raise ManifestError(
                f"{source}: expected one for the {what} {expected}, found one for {found}; send what it "
                "was signed for, or sign this: run the command again"
            )


def _unpacked(content: bytes, source: str) -> tuple[str, str]:
    if len(content) > ENVELOPE_LIMIT:
        raise ManifestError(f"{source}: {len(content)} bytes; at most {ENVELOPE_LIMIT} are read")
    try:
        document = json.loads(content)
        text, signature = document["signed"], document["signature"]
        lines = signature.split("\n")
        blob = base64.b64decode("".join(lines[1:-2]), validate=True)
        same = blob.startswith(_MAGIC) and signature == _armour(blob)
        whole = same and content == pack(text, signature)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(
            f"{source}: expected an envelope of format {FORMAT}, found something else ({error}); "
            "sign the artifact again: deploy it again"
        ) from error
    if not whole:
        raise ManifestError(
            f"{source}: expected an envelope of format {FORMAT} as it was written, found changes in it; "
            "sign the artifact again: deploy it again"
        )
    return text, signature


def _armour(blob: bytes) -> str:
    """A signature as ssh-keygen writes it."""
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _envelope(text: str, source: str) -> Envelope:
    """What a signed text says; its signer may be older or newer than this host."""
    try:
        envelope = Envelope(**json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise ManifestError(f"{source}: expected the fields of format {FORMAT}: {error}") from error
    words = (envelope.fleet, envelope.kind, envelope.version, envelope.at, envelope.by)
    counter = envelope.counter
    if (
        not all(isinstance(word, str) for word in (*words, envelope.manifest))
        or not _SHA256.fullmatch(envelope.manifest)
        or isinstance(counter, bool)
        or not isinstance(counter, int)
        or counter < 0
    ):
        raise ManifestError(
            f"{source}: expected the fields of format {FORMAT}, found {text!r:.300}"
        )
    return envelope
