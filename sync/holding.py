"""What an aircraft holds of content: the manifest it follows, what is missing, what waits and why.

`content/manifest.json` is the last manifest that was found to be the hangar's and for this aircraft's
airline; what came and was refused stays in the inbox, and what is shown stays as it is.
`content/state.json` is what a synchronisation remembers for the next one and for heartbeats.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from common.clock import utc_now
from common.settings import Settings
from sync import files, policy, retention, signature, tree
from sync.manifest import BadManifest, File, Item, Manifest, unseal
from sync.plan import plan

__all__ = [
    "State",
    "accept",
    "foreign",
    "have",
    "left",
    "local_state",
    "mark",
    "missing_bytes",
    "offered",
    "read",
    "reserve",
    "staged_bytes",
]

# Of the disk that rows, logs and databases need too; in hundredths.
RESERVE = 5


@dataclass
class Waiting:
    """An item that is not fetched for now: how many bytes of it are missing, and why it waits.

    `room`: it needs so much free space, reserve included; 0 when it waits for something else. `link`:
    the interface that forbids it or is too slow for it, and it waits for another; '' for none.
    """

    id: str
    kind: str
    bytes: int
    why: str
    room: int = 0
    link: str = ""


@dataclass
class State:
    """What is remembered while `version` is followed: what waits, what was evicted, which blobs came
    wrong how often; and why the manifest that came last is not followed ('' when it is)."""

    version: str = ""
    waiting: list[Waiting] = field(default_factory=list)
    evicted: list[Waiting] = field(default_factory=list)
    wrong: dict[str, int] = field(default_factory=dict)
    refused: str = ""

    def follow(self, version: str) -> None:
        """Begin with a manifest: what waited is judged anew, the rest counts for that version alone."""
        self.waiting = []
        if self.version != version:
            self.version, self.evicted, self.wrong = version, [], {}

    def write(self, content: Path) -> None:
        """Keep it."""
        files.write_durably(content / "state.json", json.dumps(asdict(self)).encode())


def read(content: Path) -> State:
    """Return what is remembered; nothing when it was never written, or is damaged."""
    try:
        found = json.loads((content / "state.json").read_bytes())
        for name in ("waiting", "evicted"):
            found[name] = [Waiting(**one) for one in found[name]]
        return State(**found)
    except (OSError, ValueError, KeyError, TypeError):
        return State()


def offered(settings: Settings) -> Manifest | None:
    """Return the manifest that is followed, None before the first."""
    path = settings.content_dir / "manifest.json"
    try:
        found = path.stat()
        return _parsed(path, found.st_ino, found.st_mtime_ns, found.st_size)
    except (FileNotFoundError, BadManifest):
        return None


@lru_cache(maxsize=1)
def _parsed(path: Path, *which: int) -> Manifest:
    # Every heartbeat asks, and another one takes its place by rename: it is read once.
    return unseal(path.read_bytes(), lambda told, sign: None)


def mark(settings: Settings) -> int:
    """Return what is another number when another manifest is followed; 0 before the first."""
    try:
        return (settings.content_dir / "manifest.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def accept(settings: Settings) -> str:
    """Follow the manifest that was pulled, if the hangar signed it for us; returns why not, or ''."""
    pulled = files.inbox(settings, files.HANGAR).parent / "content" / "manifest.json"
    kept = settings.content_dir / "manifest.json"
    try:
        if pulled.is_symlink():
            return f"{pulled}: expected a file, found a link. What is shown stays"
        data = pulled.read_bytes()
        if kept.exists() and kept.read_bytes() == data:
            return ""
        manifest = unseal(data, lambda told, sign: _verify(settings, told, sign))
    except FileNotFoundError:
        return ""
    except BadManifest as error:
        return f"{error}. What is shown stays"
    if why := foreign(settings, manifest):
        return why
    files.write_durably(kept, data)
    return ""


def foreign(settings: Settings, manifest: Manifest) -> str:
    """Return why a manifest is not for this aircraft, which may have gone to another airline; or ''."""
    airline = manifest.audience.get("airline")
    if airline == settings.airline:
        return ""
    return (
        f"manifest: expected one for the airline {settings.airline}, found one for {airline}: "
        "converge the hangar and this aircraft. What is shown stays"
    )


def _verify(settings: Settings, told: bytes, sign: bytes) -> None:
    try:
        signature.verify(settings.signers, files.HANGAR, told, sign)
    except signature.BadSignature as error:
        raise BadManifest(f"manifest: {error}") from None


def have(content: Path, file: File) -> bool:
    """Whether a file is here, whole and checked."""
    try:
        return tree.blob_path(content, file.sha256).lstat().st_size == file.size
    except FileNotFoundError:
        return False


def missing_bytes(content: Path, missing: Iterable[File]) -> int:
    """Return how many bytes are still to come of files of which a part may be here."""
    return sum(max(0, file.size - staged_bytes(content, file)) for file in missing)


def staged_bytes(content: Path, file: File) -> int:
    """Return how much of a file was received and not yet checked."""
    try:
        return (content / "staging" / file.sha256).lstat().st_size
    except FileNotFoundError:
        return 0


def reserve(content: Path) -> tuple[int, int]:
    """Return the bytes that are free on the disk of content, and those that content leaves free."""
    disk = shutil.disk_usage(content)
    # Of a small disk that share is so little that rows would be removed for it: see `sync.retention`.
    return disk.free, max(disk.total * RESERVE // 100, retention.low(disk.total)[1])


def local_state(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> dict[str, Any]:
    """Return the heartbeat's `content`: the manifest's version, what is missing of it, what waits.

    Arguments: sizes are bytes; `version` is '' before the first manifest. What waits is not missing,
    or a synchronisation would be due that can do nothing, until there is room for it.
    """
    content = settings.content_dir
    manifest, state = offered(settings), read(content)
    told: dict[str, Any] = {"version": "", "missing_files": 0, "missing_bytes": 0}
    if manifest is not None:
        groups = left(content, manifest, state, policy.now(settings).interface, clock())
        missing = [file for _, lacking in groups for file in lacking]
        told = {
            "version": manifest.version,
            "missing_files": len(missing),
            "missing_bytes": missing_bytes(content, missing),
        }
    for name, some in (("waiting", state.waiting), ("evicted", state.evicted)):
        if some:
            told[name] = {
                "items": len(some),
                "bytes": sum(one.bytes for one in some),
                "why": some[0].why,
            }
    if state.refused:
        told["refused"] = state.refused
    return told


def left(
    content: Path, manifest: Manifest, state: State, link: str, now: datetime
) -> list[tuple[tuple[Item, ...], tuple[File, ...]]]:
    """Return `sync.plan.plan` of what is to come now, without what waits.

    Arguments: `link` is the interface of the way there is. What waited for another link or for room that
    is there, or was judged under another manifest, is to come.
    """
    waits: set[str] = set()
    if state.version == manifest.version and content.exists():
        free, _ = reserve(content)
        waits = {
            one.id
            for one in state.waiting
            if (one.link == link if one.link else not one.room or one.room > free)
        }
    return plan(_without(manifest, waits), lambda file: have(content, file), now)


def _without(manifest: Manifest, ids: set[str]) -> Manifest:
    items: tuple[Item, ...] = tuple(item for item in manifest.items if item.id not in ids)
    return Manifest(items, manifest.audience, manifest.version)
