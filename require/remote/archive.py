"""Archives that are unpacked: the twin of `require.resources.archive`.

Beside the path lies a *hold*, a hidden directory with the unpacked `tree` and its `seal`. The path is
a link to the tree, set by rename when all of it is on the disk; until then what was there before stays.
A hold that no link leads to is what a power cut left.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterable
from typing import Any

from require.remote import file, tarball
from require.remote.shell import Refused


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a path that an archive is unpacked at.

    Args:
        spec: "path"; "id" of what is wished, "" for nothing; "source": path of the archive on the
            host, or "".

    Returns:
        "kind" absent, unpacked (by us), link, directory or other; "id" of what is unpacked;
        "whole": it is what is wished, and as it was unpacked; "left": holds that no link leads to;
        "source": whether that is there.
    """
    parent, name = os.path.split(spec["path"])
    state: dict[str, Any] = {"kind": "absent", "id": "", "whole": False, "left": []}
    state["source"] = os.path.isfile(spec["source"])
    try:
        there = os.listdir(parent)
    except (FileNotFoundError, NotADirectoryError):
        return state
    prefix = _prefix(name)
    holds = sorted(each for each in there if each.startswith(prefix))
    hold = _hold(spec["path"])
    if hold in holds:
        holds.remove(hold)
        state["kind"] = "unpacked"
        state["id"] = hold.removeprefix(prefix).rpartition(".")[0]
        state["whole"] = state["id"] == spec["id"] and _whole(f"{parent}/{hold}")
    elif name in there:
        state["kind"] = _kind(spec["path"])
    return state | {"left": holds}


def _prefix(name: str) -> str:
    return f".{name}.turnaround-"


def _hold(path: str) -> str:
    """Return the name of the hold that a path is a link into, or ""."""
    try:
        hold, _, rest = os.readlink(path).partition("/")
    except OSError:
        return ""
    return hold if rest == "tree" else ""


def _kind(path: str) -> str:
    mode = os.lstat(path).st_mode
    return "link" if stat.S_ISLNK(mode) else "directory" if stat.S_ISDIR(mode) else "other"


def _whole(hold: str) -> bool:
    try:
        with open(f"{hold}/seal") as found:
            return found.read() == seal(f"{hold}/tree")
    except OSError:
        return False


def seal(tree: str) -> str:
    """Return a hash of what a tree's entries say of themselves; no file is read.

    That is of each its path, kind, mode and owners, of a file its size and the time of its last
    change, of a link its target.
    """
    found = hashlib.sha256()
    waiting = [tree]
    while waiting:
        path = waiting.pop()
        seen = os.lstat(path)
        words: list[Any] = [path[len(tree) :], seen.st_mode, seen.st_uid, seen.st_gid]
        if stat.S_ISDIR(seen.st_mode):
            waiting += sorted(f"{path}/{name}" for name in os.listdir(path))
        elif stat.S_ISLNK(seen.st_mode):
            words.append(os.readlink(path))
        else:
            words += [seen.st_size, seen.st_mtime_ns]
        found.update(repr(words).encode())
    return found.hexdigest()


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Unpack beside, switch, and remove what was there before.

    Args:
        spec: the question and, where something is wished, "sha", "content" (None where "source" is),
            "strip", "max_bytes", "mode", "owner", "group".
        state: what `probe` saw just now.

    Raises:
        Refused: something else is in the way; parent, owner or archive are missing; the archive is
            another than declared, damaged, or holds what may not be unpacked. Nothing is changed.
    """
    if state["kind"] in ("directory", "other"):
        raise Refused("what is there was not unpacked by us: move it")
    place, name = file.place_of(spec["path"])
    try:
        _clear(place, state["left"])
        former = _hold(spec["path"]) if state["kind"] == "unpacked" else ""
        if not spec["id"] and former:
            os.unlink(name, dir_fd=place)
        elif spec["id"] and not state["whole"]:
            _switch(spec, place, name)
        else:
            return
        os.fsync(place)
        if former:
            _clear(place, [former])
    finally:
        os.close(place)


def _clear(place: int, holds: Iterable[str]) -> None:
    for hold in holds:
        shutil.rmtree(hold, dir_fd=place)


def _switch(spec: dict[str, Any], place: int, name: str) -> None:
    hold = f"{_prefix(name)}{spec['id']}.{os.urandom(4).hex()}"
    os.mkdir(hold, 0o700, dir_fd=place)
    try:
        # By number from here on: whoever owns the parent could put something else under the name.
        inside = _enter(hold, place)
        try:
            _fill(spec, inside)
            os.symlink(f"{hold}/tree", "link", dir_fd=inside)
            os.fchmod(inside, 0o755)
            os.sync()
            os.replace("link", name, src_dir_fd=inside, dst_dir_fd=place)
        finally:
            os.close(inside)
    except BaseException:
        _clear(place, [hold])
        raise


def _fill(spec: dict[str, Any], inside: int) -> None:
    """Unpack the tree and seal it."""
    os.mkdir("tree", 0o700, dir_fd=inside)
    tree = _enter("tree", inside)
    try:
        with _archive(spec) as archive:
            found = tarball.members(archive, spec["sha"], spec["strip"], spec["max_bytes"])
            _unpack(found, tree, spec["mode"], file.ids(spec))
    finally:
        os.close(tree)
    handle = os.open("seal", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=inside)
    with open(handle, "w") as made:
        made.write(seal(f"/proc/self/fd/{inside}/tree"))


def _enter(name: str, place: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)


def _archive(spec: dict[str, Any]) -> Any:
    if spec["content"] is not None:
        return io.BytesIO(spec["content"])
    try:
        return open(spec["source"], "rb")
    except FileNotFoundError:
        raise Refused(f"there is no {spec['source']} on the host") from None


def _unpack(found: Iterable[tarball.Member], tree: int, mode: int, ids: tuple[int, int]) -> None:
    """Write members below a directory that only we may enter until the last of them is there.

    Args:
        found: what to write.
        tree: file descriptor of that directory.
        mode: bits that a member may have; what the archive gives beyond them is not given.
        ids: numbers of owner and group, -1 for one that is left.
    """
    modes = {"": mode}
    for member in found:
        if member.kind == "directory":
            if member.name not in modes:
                os.mkdir(member.name, 0o700, dir_fd=tree)
            modes[member.name] = (member.mode | 0o700) & mode if member.name else mode
        elif member.kind == "link":
            os.symlink(member.target, member.name, dir_fd=tree)
            os.chown(member.name, *ids, dir_fd=tree, follow_symlinks=False)
        elif member.kind == "hard link":
            os.link(
                member.target, member.name, src_dir_fd=tree, dst_dir_fd=tree, follow_symlinks=False
            )
        else:
            _write(member, tree, mode, ids)
    # The innermost first: nothing is changed in a directory that is done.
    for name in sorted(modes, reverse=True):
        os.chown(name or ".", *ids, dir_fd=tree, follow_symlinks=False)
        os.chmod(name or ".", modes[name], dir_fd=tree)


def _write(member: tarball.Member, tree: int, mode: int, ids: tuple[int, int]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(member.name, flags, 0o600, dir_fd=tree), "wb") as made:
        shutil.copyfileobj(member.data, made)
        os.fchown(made.fileno(), *ids)
        os.fchmod(made.fileno(), (member.mode | 0o600) & mode)
    seconds = min(max(member.mtime, 0), 2**32)
    os.utime(member.name, (seconds, seconds), dir_fd=tree)
