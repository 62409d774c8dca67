"""Archives that are unpacked into a directory, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from require.catalog import declared
from require.errors import DeclarationError
from require.remote import tarball
from require.remote.shell import Refused
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, Unknown, keys
from require.resources import file

MAX_CONTENT_BYTES = 16 * 1024 * 1024
MAX_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Archive(Resource):
    """What is unpacked at a path, or that nothing is.

    Args:
        path: absolute path.
        sha: SHA-256 of the archive; "" when nothing is to be there.
        content: the archive, or None when it is on the host.
        source: its path on the host, or "".
        strip: how many leading directories of each name are left out.
        max_bytes: most that it may be once decompressed.
        mode: of the directory, and the bits that a member may have.
        owner: user name, or None for root.
        group: group name, or None for root's.
    """

    noun: ClassVar[str] = "archive"

    path: str
    sha: str = ""
    content: bytes | None = field(default=None, repr=False)
    source: str = ""
    strip: int = 0
    max_bytes: int = MAX_BYTES
    mode: int = 0o755
    owner: str | None = None
    group: str | None = None

    @property
    def key(self) -> str:
        return f"archive:{self.path}"

    @property
    def id(self) -> str:
        """What is wished, in the name of its folder on the host: the archive, then how."""
        if not self.sha:
            return ""
        how = json.dumps([self.strip, self.mode, self.owner, self.group]).encode()
        return f"{self.sha[:40]}-{hashlib.sha256(how).hexdigest()[:8]}"

    def natural_needs(self) -> tuple[str, ...]:
        owners = (f"user:{self.owner}", f"group:{self.group}", f"user:{self.group}")
        return (f"file:{posixpath.dirname(self.path)}", f"file:{self.source}", *owners)

    def question(self) -> Spec:
        return {"path": self.path, "id": self.id, "source": self.source}

    def order(self) -> Spec:
        if not self.sha:
            return {}
        spec: Spec = {"sha": self.sha, "content": self.content, "strip": self.strip}
        spec |= {"max_bytes": self.max_bytes, "mode": self.mode}
        return spec | {"owner": self.owner, "group": self.group}

    def plan(self, state: State) -> Plan:
        found = state["kind"]
        if found in ("directory", "other") or (found == "link" and not self.sha):
            what = "a file" if found == "other" else f"a {found}"
            return Unknown(
                f"{what} that was not unpacked here is in the way: move it", blocked=True
            )
        if state["whole"] or (not self.sha and found == "absent"):
            return Change("remove what an interrupted run left") if state["left"] else NoChange()
        if not self.sha:
            return Change("remove it")
        if self.source and not state["source"]:
            return Unknown(f"until {self.source} is there")
        unpack = f"unpack {self.sha[:12]}"
        if state["id"] == self.id:
            return Change(f"{unpack} again, in place of what was changed by hand")
        if found == "unpacked":
            was = state["id"][:12]
            return Change(
                f"{unpack} in place of {was}" if was != self.sha[:12] else f"{unpack} otherwise"
            )
        return Change(unpack if found == "absent" else f"{unpack} in place of a {found}")


def unpacked(
    path: str,
    *,
    content: bytes | Path | None = None,
    source: str = "",
    sha256: str = "",
    strip: int = 0,
    max_bytes: int = MAX_BYTES,
    mode: int = 0o755,
    owner: str | None = "root",
    group: str | None = "",
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Archive:
    """Declare what a tar archive holds, unpacked at a path. As declared: "no change".

    It is unpacked beside, into a hidden folder, flushed to the disk, and the path is made a link to
    it by rename: after a power cut there is the old tree or the new one. The former tree is removed
    then, so who has files of it open is to be restarted by `notify`. The tree is the archive's alone:
    a file in it that was added, removed, or changed in size, time of change, mode or owner is found,
    and all of it is unpacked again; one whose size and time were put back is not found, for no file
    is read to look. What writes where it lies (Python its caches, for instance) does not belong here.

    The tar may be plain or compressed by gzip, xz, or where the host has the program, zstd. A name
    or link that leads outside, a device, a sparse file, a member twice, more than 50 000 members, or
    more than 200 times the archive's size (above 16 MiB) is refused, and nothing is changed.

    Args:
        path: absolute path; its directory exists or is declared too, a directory there is in the way.
        content: the archive, or its path on this machine, at most 16 MiB: it travels with the change,
            and is read and checked when it is declared; or
        source: absolute path of the archive on the host, of any size. Nothing is fetched from anywhere.
        sha256: hexadecimal SHA-256 of the archive; needed with `source`.
        strip: how many leading directories are left out of each name.
        max_bytes: most that the archive may be once decompressed.
        mode: of the directory; members have of their own permission bits those that are in it.
        owner: user name of all that is unpacked; None: root.
        group: group name; "" is the group of the owner's name; None: root's.
        needs: resources that must be right first (the directory, the owner and a `source` that is
            declared are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: neither or both of content and source, no SHA-256, an archive that is too
            large, another than that, damaged, or holds what may not be unpacked.

    Example:
        >>> require.archive.unpacked("/opt/viewer", content=Path("viewer-1.4.tar.gz"), strip=1,
        ...     notify=[require.systemd.restarted("viewer")])
        >>> require.archive.unpacked("/srv/maps", source="/var/cache/maps.tar.xz", sha256="9f2a…")
    """
    place = f"archive:{file.absolute(path)}"
    if (content is None) == (not source):
        raise DeclarationError(f"{place}: wanted content= or source=, one of them")
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise DeclarationError(f"{place}: sha256={sha256!r}: wanted 64 hexadecimal digits")
    if source and not sha256:
        raise DeclarationError(f"{place}: source={source!r} needs its sha256=")
    if strip < 0 or max_bytes < 1:
        raise DeclarationError(f"{place}: wanted strip= from 0 and max_bytes= from 1")
    data = None if content is None else _content(place, content)
    if data is not None:
        sha256 = sha256 or _sha(data)
        why = _refusal(data, sha256, strip, max_bytes)
        if why:
            raise DeclarationError(f"{place}: {why}")
    return declared(
        Archive(
            path=path,
            sha=sha256,
            content=data,
            source=file.absolute(source) if source else "",
            strip=strip,
            max_bytes=max_bytes,
            mode=mode,
            owner=owner,
            group=owner if group == "" else group,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def absent(path: str, *, needs: Sequence[Resource] = (), notify: Sequence[Handler] = ()) -> Archive:
    """Declare that what `unpacked` put at a path is not there any more; anything else is left.

    Args:
        path: absolute path.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: the path is not absolute, or the key is taken.

    Example:
        >>> require.archive.absent("/opt/viewer")
    """
    return declared(Archive(path=file.absolute(path), needs=keys(needs), notify=tuple(notify)))


def _content(place: str, content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        data = content
    else:
        try:
            seen = content.stat()
            data = _read(content, seen.st_size, seen.st_mtime_ns)
        except OSError as error:
            raise DeclarationError(f"{place}: {content}: {error.strerror}") from error
    if len(data) > MAX_CONTENT_BYTES:
        raise DeclarationError(
            f"{place}: more than the {MAX_CONTENT_BYTES} bytes that travel with a change: bring it to "
            "the host by rsync and declare source="
        )
    return data


# A fleet's hosts declare the same archive: it is read, hashed and checked once, and kept once.
@lru_cache(maxsize=4)
def _read(path: Path, size: int, changed_ns: int) -> bytes:
    with path.open("rb") as found:
        return found.read(MAX_CONTENT_BYTES + 1)


@lru_cache(maxsize=4)
def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=4)
def _refusal(data: bytes, sha: str, strip: int, max_bytes: int) -> str:
    """Return why an archive cannot be unpacked, "" when it can."""
    if data.startswith(tarball.ZSTD):
        return ""  # this machine need not have the program
    try:
        for _ in tarball.members(io.BytesIO(data), sha, strip, max_bytes):
            pass
    except Refused as error:
        return str(error)
    return ""
