"""The manifests of the hangar: made, signed and kept once for each audience.

`content/manifests/<audience>.json` is the signed manifest, a file that every aircraft of the audience
has a link to. `<audience>.head.json` beside it is what a heartbeat is answered from: its version, and
how urgent the most urgent was that each version before it lacked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from sync import files
from sync.audience import Audience
from sync.manifest import BadManifest, Manifest, seal, unseal

__all__ = ["HEAD", "Head", "head_path", "issue", "issued", "manifest_path", "read_head", "sweep"]

# An editor at work publishes every few minutes; an aircraft follows one manifest for a landing.
KEPT = 64
# What an aircraft's link to it is called; rsync leaves names with a dot behind.
HEAD = ".head.json"

Step = tuple[str, int | None, str | None]
"""A version, and priority and end of the most urgent item that is new in it; None where none is."""


def manifest_path(content: Path, audience: Audience) -> Path:
    """Return where an audience's signed manifest lies."""
    return content / "manifests" / f"{audience.name}.json"


def head_path(content: Path, audience: Audience) -> Path:
    """Return where that lies which heartbeats are answered from."""
    return content / "manifests" / f"{audience.name}.head.json"


@dataclass(frozen=True)
class Head:
    """The versions of an audience's manifest, the present one last."""

    steps: tuple[Step, ...] = ()

    @property
    def version(self) -> str:
        """The one that is offered, '' before the first."""
        return self.steps[-1][0] if self.steps else ""

    def urgent(self, held: str) -> dict[str, Any] | None:
        """What a heartbeat is told of, `{"version", "priority", "valid_to"}`: the most urgent that
        came after the version that is held; None when that is nothing, or so old that it is not known.

        >>> Head((("a", None, None), ("b", 10, None), ("c", 100, None))).urgent("a")
        {'version': 'c', 'priority': 10, 'valid_to': None}
        """
        versions = [version for version, _, _ in self.steps]
        if held not in versions:
            return None
        # The last of that name: an edit that is taken back brings a version again.
        after = self.steps[len(versions) - versions[::-1].index(held) :]
        new = [(priority, until) for _, priority, until in after if priority is not None]
        if not new:
            return None
        priority, until = min(new, key=lambda one: (one[0], one[1] or "9999"))
        return {"version": self.version, "priority": priority, "valid_to": until}

    def then(self, former: Manifest | None, now: Manifest) -> Head:
        """After a new manifest was made in the place of the former."""
        had = {item.id: item for item in former.items} if former else {}
        new = [item for item in now.items if had.get(item.id) != item]
        first = min(new, key=lambda item: item.urgency, default=None)
        until = first.valid_to.astimezone(UTC).isoformat() if first and first.valid_to else None
        step: Step = (now.version, first.priority if first else None, until)
        return Head((*self.steps[1 - KEPT :], step))


def read_head(path: Path) -> Head:
    """Return what is known of an audience; nothing when it was never written, or is damaged."""
    try:
        return Head(tuple((str(v), p, until) for v, p, until in json.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError):
        return Head()


def issue(
    content: Path, audience: Audience, manifest: Manifest, sign: Callable[[bytes], bytes]
) -> None:
    """Sign an audience's manifest and keep it.

    One that says the same is left alone, or every aircraft would fetch it again. It is signed each
    time: an Ed25519 signature is always the same, until the key is another one.
    """
    path, now = manifest_path(content, audience), seal(manifest, sign)
    head = read_head(head_path(content, audience))
    coming = None
    if not path.exists() or path.read_bytes() != now:
        # The long one first: what can fail for want of room has not touched the short one.
        coming = files.write_beside(path, now, mode=0o444)
    if head.version != manifest.version:
        # Before the manifest has its name: what is new in it can be told only as long as the former is
        # here. When the power goes in between, nobody is offered the two (`sync.publish`).
        told = json.dumps(head.then(issued(path), manifest).steps).encode()
        files.write_durably(head_path(content, audience), told, mode=0o444)
    if coming:
        files.move(coming, path)


def issued(path: Path) -> Manifest | None:
    """Return an audience's manifest as it was issued last, by any name of it; None before the first.

    It is the hangar's own, on its own disk: its signature is for others.
    """
    try:
        return unseal(path.read_bytes(), lambda told, signature: None)
    except (FileNotFoundError, BadManifest):
        return None


def sweep(content: Path, audiences: Iterable[Audience]) -> None:
    """Remove the manifests of audiences that no aircraft is in any more, and what was half written."""
    kept = set()
    for one in audiences:
        kept |= {manifest_path(content, one).name, head_path(content, one).name}
    for path in (content / "manifests").glob("*"):
        if path.name not in kept:
            path.unlink()
