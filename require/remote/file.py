"""Files, directories and links: the twin of `require.resources.file`."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Sequence
from typing import Any

from require.remote import kept, private
from require.remote.shell import Refused, run

MAX_TEXT = 64 * 1024
MAX_HASHED = 256 * 1024 * 1024
_WHOLE = {"sha": "", "text": False}
# Runs what follows two paths with the first in the place of the second, in a view of the file system
# of its own: nobody else sees it there, and nothing is left of it. Their directory is covered by a
# copy, for it may hold links to what is not ours to write to; all of / is never copied.
IN_PLACE = """test "${2%/*}" || { echo 'all of / is not copied' >&2; exit 1; }
cd "${2%/*}"
mount -t tmpfs -o size=64m none "${2%/*}"
cp -a . "${2%/*}"
mv -fT "$1" "$2"
cd /
shift 2
command -v "$1" >/dev/null || { echo "there is no program $1" >&2; exit 1; }
echo in place
exec "$@"
"""
_BEGUN = "in place\n"


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a path.

    Args:
        spec: "path"; for a file also "sha", the SHA-256 that is wished, and "text": whether the
            text is to come back where it differs (UTF-8, up to 64 KiB).

    Returns:
        "kind" absent, file, directory, link or other; "mode", "owner", "group"; for a link
        "target"; for a file whose content is asked for "sha", "size" and perhaps "text".
    """
    path = spec["path"]
    try:
        seen = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"kind": "absent"}
    if stat.S_ISLNK(seen.st_mode):
        return {"kind": "link", "target": os.readlink(path)}
    state = {
        "kind": _kind(seen.st_mode),
        "mode": stat.S_IMODE(seen.st_mode),
        "owner": _user_name(seen.st_uid),
        "group": _group_name(seen.st_gid),
    }
    if state["kind"] == "file" and "sha" in spec:
        state |= _content(path, seen, spec)
    return state


def _content(path: str, seen: os.stat_result, spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"size": seen.st_size}
    if seen.st_size > MAX_HASHED:
        return found | {"sha": f"not hashed: {seen.st_size} bytes of {seen.st_mtime_ns}"}
    with open(path, "rb") as file:
        found["sha"] = hashlib.file_digest(file, "sha256").hexdigest()
        if found["sha"] != spec["sha"] and spec["text"] and seen.st_size <= MAX_TEXT:
            file.seek(0)
            with contextlib.suppress(UnicodeDecodeError):
                found["text"] = file.read(MAX_TEXT).decode()
    return found


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Make a path what it should be.

    Args:
        spec: the question and "kind"; for a file "content", "validate", "secret"; for a link
            "target"; for file and directory "mode", "owner", "group".
        state: what `probe` saw just now.

    Raises:
        Refused: parent, owner or group are missing, something is in the way, the new content was
            not accepted, or the path changed while it was written.
    """
    place, name = place_of(spec["path"])
    try:
        {"file": _file, "directory": _directory, "link": _link, "absent": _absent}[spec["kind"]](
            spec, state, place, name
        )
        os.fsync(place)
    finally:
        os.close(place)


def place_of(path: str) -> tuple[int, str]:
    """Open the directory that a path is in, and return it with the path's last name.

    Raises:
        Refused: there is no such directory.
    """
    parent, name = os.path.split(path)
    try:
        return os.open(parent, os.O_RDONLY | os.O_DIRECTORY), name
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(
            f"there is no directory {parent}: declare require.file.directory({parent!r})"
        ) from None


def put(
    path: str,
    content: bytes,
    *,
    former: bytes | None = None,
    mode: int | None = None,
    validate: Sequence[str] = (),
) -> None:
    """Put a file's whole content in place, for the nouns that write files of their own making.

    Args:
        path: absolute path.
        content: what is to be in it.
        former: what was in it when the content was made; None asks nothing of it.
        mode: permission bits; None keeps those of a file that is there, and makes a new one 0644.
        validate: as of a declared file.

    Raises:
        Refused: as `apply`, or the file holds something else than `former`.
    """
    question = {"path": path, "sha": hashlib.sha256(content).hexdigest(), "text": False}
    seen = probe(question)
    expected = None if former is None else hashlib.sha256(former).hexdigest()
    if expected is not None and seen.get("sha", expected) != expected:
        raise Refused("it changed while its new content was written: converge again")
    kept = seen.get("mode", 0o644) if mode is None else mode
    order = {"kind": "file", "content": content, "validate": validate, "secret": False}
    apply({**question, **order, "mode": kept, "owner": None, "group": None}, seen)


def _file(spec: dict[str, Any], state: dict[str, Any], place: int, name: str) -> None:
    owner, group = ids(spec)
    if state["kind"] == "directory":
        raise Refused("a directory is in the way")
    if state["kind"] == "file" and state["sha"] == spec["sha"]:
        _keep(spec, place, name, _declared(spec))
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        _attributes(handle, spec["mode"], owner, group)
        return
    if state["kind"] == "file":
        # What is not declared is kept from the file that is replaced.
        seen = os.stat(name, dir_fd=place, follow_symlinks=False)
        owner = seen.st_uid if owner == -1 else owner
        group = seen.st_gid if group == -1 else group
    beside = _beside(place, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(beside, flags, 0o600, dir_fd=place)
    try:
        private.put(handle, spec["content"])
        _attributes(handle, spec["mode"], owner, group)
        path = os.path.join(os.path.dirname(spec["path"]), beside)
        _validate(spec, path)
        if probe(spec) != state:
            raise Refused("it changed while its new content was written: converge again")
        _keep(spec, place, name, probe({**_WHOLE, "path": path}))
        os.replace(beside, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=place)
        raise


def _validate(spec: dict[str, Any], path: str) -> None:
    if not spec["validate"]:
        return
    argv = [word.replace("{}", path) for word in spec["validate"]]
    program = argv[0]
    whole = not any("{}" in word for word in spec["validate"])
    if whole:
        argv = ["unshare", "--mount", "sh", "-ec", IN_PLACE, "sh", path, spec["path"], *argv]
    try:
        done = run(argv)
    except FileNotFoundError:
        raise Refused(f"there is no program {argv[0]} to validate it with") from None
    if done.code == 0:
        return
    if whole and not done.out.startswith(_BEGUN):
        raise Refused(
            f"{program} was not asked, for the new content cannot be shown to it alone in its place, "
            f"in a copy of its directory of at most 64 MiB: {done.err.strip()[-2000:]}"
        )
    words = (done.err + done.out.removeprefix(_BEGUN)).strip()[-2000:]
    if spec["secret"]:
        words = "what it said may hold a secret"
    raise Refused(f"{program} does not accept the new content: {words}")


def _directory(spec: dict[str, Any], state: dict[str, Any], place: int, name: str) -> None:
    owner, group = ids(spec)
    if state["kind"] not in ("absent", "directory"):
        raise Refused(f"a {state['kind']} is in the way")
    if state["kind"] == "absent":
        over = os.fstat(place)
        gid = over.st_gid if over.st_mode & stat.S_ISGID else os.getegid()
        born = {"owner": _user_name(os.geteuid()), "group": _group_name(gid)}
        _keep(spec, place, name, {"kind": "directory", **born, **_declared(spec)})
        os.mkdir(name, 0o700, dir_fd=place)
    else:
        _keep(spec, place, name, _declared(spec))
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    _attributes(os.open(name, flags, dir_fd=place), spec["mode"], owner, group)


def _link(spec: dict[str, Any], state: dict[str, Any], place: int, name: str) -> None:
    if state["kind"] == "directory":
        raise Refused("a directory is in the way")
    beside = _beside(place, name)
    os.symlink(spec["target"], beside, dir_fd=place)
    _keep(spec, place, name, {"kind": "link", "target": spec["target"]})
    os.replace(beside, name, src_dir_fd=place, dst_dir_fd=place)


def _absent(spec: dict[str, Any], state: dict[str, Any], place: int, name: str) -> None:
    gone = {"kind": "absent"}
    if state["kind"] == "absent":
        return
    if state["kind"] != "directory":
        _keep(spec, place, name, gone)
        os.unlink(name, dir_fd=place)
        return
    if os.listdir(spec["path"]):
        raise Refused("the directory is not empty: only an empty one is removed")
    _keep(spec, place, name, gone)
    os.rmdir(name, dir_fd=place)


def _keep(spec: dict[str, Any], place: int, name: str, made: dict[str, Any]) -> None:
    """Keep what is at the path: now, at the last moment before it is changed.

    Args:
        spec: what is declared.
        place, name: where it is.
        made: what will be there; where only attributes change, those.
    """
    was = probe({**_WHOLE, "path": spec["path"]})
    made = made if "kind" in made else was | made
    # A link on the way may be put back too, and would then lead somewhere else.
    path = os.path.join(os.path.realpath(os.path.dirname(spec["path"])), name)
    # Of what is only removed nobody said that it may be shown.
    kept.keep(place, name, path, was, made, spec.get("secret", True))


def _declared(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that are declared."""
    names = ("mode", "owner", "group")
    return {name: spec[name] for name in names if spec[name] is not None}


def _beside(place: int, name: str) -> str:
    """Return the name that a new file has until it is whole; what a power cut left is removed.

    It begins with a dot and ends with "~": what reads whole directories (sudo, cron, nginx's
    `*.conf`) passes such names over.
    """
    beside = f".{name[:200]}.turnaround~"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=place)
    return beside


def _attributes(handle: int, mode: int, owner: int, group: int) -> None:
    """Set owner, then mode (a change of owner clears setuid), bring it to the disk, close."""
    try:
        os.fchown(handle, owner, group)
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)


def ids(spec: dict[str, Any]) -> tuple[int, int]:
    """Return the numbers of owner and group, -1 for one that is left."""
    owner, group = spec["owner"], spec["group"]
    try:
        uid = -1 if owner is None else _number(owner) or pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise Refused(f"there is no user {owner}: declare require.user.user({owner!r})") from None
    try:
        return uid, -1 if group is None else _number(group) or grp.getgrnam(group).gr_gid
    except KeyError:
        raise Refused(f"there is no group {group}: declare require.user.group({group!r})") from None


def _number(name: str) -> int:
    """Return the number that stands for an account without a name, else 0: that one has a name."""
    return int(name) if name.isdecimal() else 0


def _kind(mode: int) -> str:
    return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
