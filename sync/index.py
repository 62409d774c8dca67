"""The signed index: which change-sets an end offers, so that the other applies these and no others.

`index.json` lies where a sender's change-sets lie, and travels before them:

    {"format":1,"node":"EC-TAA","files":[{"stream","epoch","first_seq","seq","sha256","bytes"},…],
     "signature":"-----BEGIN SSH SIGNATURE-----…"}

What is signed is every byte before `,"signature":`, by the key of the sender that its SSH uses: an
aircraft's own, or the hangar's. List and signature are one file, so that a cut leaves both as they were.

An old index that is played again does no harm: it vouches for change-sets that were applied, which the
ledger skips, and for none of a history that was left, which is not begun again (`sync.apply`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from common.settings import Settings
from sync import changeset, files, signature

__all__ = ["NAME", "BadIndex", "Entry", "Vouched", "listed", "vouched", "write"]

NAME = "index.json"
FORMAT = 1
MAX_BYTES = 16 * 2**20

log = logging.getLogger(__name__)


class BadIndex(Exception):
    """An index that vouches for nothing; the message says whose, what was expected and found."""


@dataclass(frozen=True)
class Entry:
    """One change-set: the numbers that it covers, its SHA-256 and its size in bytes."""

    stream: str
    epoch: str
    first_seq: int
    seq: int
    sha256: str
    bytes: int


Vouched = Mapping[tuple[str, str, str], str]
"""The SHA-256 of what a peer says is its own, by stream, the epoch's first eight digits, and file name."""


def listed(base: Path) -> list[Entry]:
    """Return what a folder of streams holds, in the order of its names.

    >>> listed(files.outbox(settings))  # doctest: +SKIP
    [Entry(stream='use', epoch='1f0a93c2-…', first_seq=12, seq=12, sha256='…', bytes=3120)]
    """
    return list(_listed(base))


def _listed(base: Path) -> Iterator[Entry]:
    for folder in files.histories(base):
        for _, path in (*files.change_sets(folder), *files.snapshots(folder)):
            try:
                found = path.stat()
                yield _entry(path, found.st_ino, found.st_mtime_ns)
            except FileNotFoundError:
                # Acknowledged in between.
                continue
            except changeset.BadChangeSet as error:
                # The others go on.
                log.error(
                    "%s is damaged and is not offered: %s. Remove it: what is lacking is sent otherwise",
                    path,
                    error,
                )


# A change-set is immutable, and each aircraft's offer has a name of its own for the same one.
@lru_cache(maxsize=65536)
def _entry(path: Path, inode: int, changed_ns: int) -> Entry:
    with path.open("rb") as file:
        header = next(changeset.read(file, path.name))
        size = os.fstat(file.fileno()).st_size
    assert isinstance(header, changeset.Header)
    return Entry(
        header.stream,
        header.epoch,
        header.first_seq,
        header.seq,
        files.sha256_of(path) or "",
        size,
    )


def write(settings: Settings, base: Path, *more: Path) -> None:
    """Sign what the folder holds and write its index beside it; one that says the same is left alone.

    Arguments: `more` are folders whose change-sets it names, too.

    A file of ours that is damaged is not named. Raises `signature.BadSignature` when this host's key is of
    no use.
    """
    told = {
        "format": FORMAT,
        "node": settings.node,
        "files": [asdict(entry) for folder in (base, *more) for entry in listed(folder)],
    }
    text = json.dumps(told, separators=(",", ":")).encode()[:-1]
    key = settings.ssh_key
    # A key that is not there is what signing says.
    data = _signed(key, key.stat().st_mtime_ns if key.exists() else 0, text)
    path = base / NAME
    if not path.exists() or path.read_bytes() != data:
        files.write_durably(path, data, mode=0o444)
        # rsync tells files apart by their size and time, and rrsync lets it look at whole seconds only:
        # two indexes of one size and one second would be the same.
        made = int.from_bytes(hashlib.sha256(data).digest()[:4]) >> 1
        os.utime(path, (made, made))


# Of aircraft that have come equally far the index is the same: it is signed once.
@lru_cache(maxsize=256)
def _signed(key: Path, changed_ns: int, told: bytes) -> bytes:
    return signature.attach(told, signature.sign(key, told))


def vouched(settings: Settings, peer: str) -> Vouched:
    """Return which change-sets the peer says are its own; none before any came.

    Raises `BadIndex` for an index that is damaged, of somebody else, or signed by a key that does not
    count; it is removed then, so that the other end sends another.

    >>> len(vouched(settings, "EC-TAA"))  # doctest: +SKIP
    3
    """
    path = files.inbox(settings, peer) / NAME
    try:
        return _vouched(settings, peer, path)
    except FileNotFoundError:
        return {}
    except (BadIndex, signature.BadSignature) as error:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        raise BadIndex(
            f"{peer}/{NAME}: {error}. Nothing that came with it is applied; it was removed, and the "
            "next synchronisation brings another"
        ) from None


def _vouched(settings: Settings, peer: str, path: Path) -> Vouched:
    # Who wrote the folder may have put a link there, or a pipe.
    if not stat.S_ISREG(path.lstat().st_mode):
        raise BadIndex("expected a file, found something else")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadIndex(f"expected at most {MAX_BYTES} bytes, found more")
    told, signed = signature.detach(data)
    signature.verify(settings.signers, peer, told, signed)
    try:
        found: dict[str, Any] = json.loads(told + b"}")
        if found["format"] != FORMAT:
            raise BadIndex(f"expected format {FORMAT}, found {found['format']!r}")
        if found["node"] != peer:
            raise BadIndex(f"expected the index of {peer}, found that of {str(found['node'])[:40]}")
        return dict(_named(entry) for entry in found["files"])
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise BadIndex(f"expected the fields of format {FORMAT}, found {error!r}") from None


def _named(entry: Mapping[str, Any]) -> tuple[tuple[str, str, str], str]:
    """Return where a file that was listed lies, and its SHA-256."""
    seq, sha256 = int(entry["seq"]), str(entry["sha256"])
    name = changeset.file_name(seq) if entry["first_seq"] else changeset.snapshot_name(seq)
    return (str(entry["stream"]), files.epoch8(UUID(entry["epoch"])), name), sha256
