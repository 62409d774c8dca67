"""Accounts and groups: the twin of `require.resources.user`."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import stat
from typing import Any

from require.remote.shell import Failed, Refused, run

SHADOW = "/etc/shadow"
MAX_KEYS = 64 * 1024


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at an account or a group.

    Args:
        spec: "verb" user or group, "name"; for a user "groups" to be in, "keys": SHA-256 of the
            authorized keys that are wished or None, "locked": whether to look at the password.

    Returns:
        "exists"; for a user "shell", "home", "outside" (groups it is not in), "locked", and when
        keys are asked for "keys_same", "keys" (the text, only where it differs), "keys_safe".
    """
    if spec["verb"] == "group":
        return {"exists": _group(spec["name"]) is not None}
    try:
        account = pwd.getpwnam(spec["name"])
    except KeyError:
        return {"exists": False}
    state: dict[str, Any] = {
        "exists": True,
        "shell": account.pw_shell,
        "home": account.pw_dir,
        "outside": [name for name in spec["groups"] if not _in_group(account, name)],
        "locked": _locked(spec["name"]) if spec["locked"] else None,
    }
    if spec["keys"] is not None:
        state |= _keys(account, spec["keys"])
    return state


def _in_group(account: pwd.struct_passwd, name: str) -> bool:
    group = _group(name)
    if group is None:
        return False
    return account.pw_name in group.gr_mem or account.pw_gid == group.gr_gid


def _group(name: str) -> grp.struct_group | None:
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None


def _locked(name: str) -> bool:
    with open(SHADOW) as file:
        for line in file:
            fields = line.split(":")
            if fields[0] == name:
                return fields[1].startswith(("!", "*"))
    return True  # without an entry there is no password to log in with


def _keys(account: pwd.struct_passwd, wished: str) -> dict[str, Any]:
    folder = f"{account.pw_dir}/.ssh"
    text = ""
    safe = False
    with contextlib.suppress(OSError), open(f"{folder}/authorized_keys") as file:
        text = file.read(MAX_KEYS)
        inner, outer = os.fstat(file.fileno()), os.lstat(folder)
        safe = (
            inner.st_uid == outer.st_uid == account.pw_uid
            and stat.S_IMODE(inner.st_mode) == 0o600
            and stat.S_IMODE(outer.st_mode) == 0o700
        )
    same = hashlib.sha256(text.encode()).hexdigest() == wished
    return {"keys_same": same, "keys": None if same else text, "keys_safe": safe or not text}


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Make an account or a group what it should be.

    Args:
        spec: the question and "system"; for a user "shell", "home", "keys_text", "lock".
        state: what `probe` saw just now.

    Raises:
        Refused: a group it should be in does not exist.
        Failed: a program's own words, or there is no place for the keys.
    """
    if spec["verb"] == "group":
        if not state["exists"]:
            run(["groupadd", *_system(spec), spec["name"]]).check()
        return
    for name in spec["groups"]:
        if _group(name) is None:
            raise Refused(f"there is no group {name}: declare require.user.group({name!r})")
    if state["exists"]:
        _modify(spec, state)
    else:
        _create(spec)
    if spec["keys_text"] is not None and not (
        state["exists"] and state["keys_same"] and state["keys_safe"]
    ):
        _write_keys(pwd.getpwnam(spec["name"]), spec["keys_text"])


def _system(spec: dict[str, Any]) -> list[str]:
    return ["--system"] if spec["system"] else []


def _create(spec: dict[str, Any]) -> None:
    name = spec["name"]
    own = ["--gid", name] if _group(name) else ["--user-group"]
    shell = spec["shell"] or ("/usr/sbin/nologin" if spec["system"] else "/bin/bash")
    home = ["--home-dir", spec["home"]] if spec["home"] else []
    make = ["--no-create-home"] if spec["system"] else ["--create-home", "-K", "HOME_MODE=0700"]
    groups = ["--groups", ",".join(spec["groups"])] if spec["groups"] else []
    run(["useradd", *_system(spec), *own, "--shell", shell, *home, *make, *groups, name]).check()
    if spec["lock"] is False:
        run(["usermod", "--unlock", name])


def _modify(spec: dict[str, Any], state: dict[str, Any]) -> None:
    changes: list[str] = []
    if spec["shell"] is not None and spec["shell"] != state["shell"]:
        changes += ["--shell", spec["shell"]]
    if spec["home"] is not None and spec["home"] != state["home"]:
        changes += ["--home", spec["home"]]
    if state["outside"]:
        changes += ["--append", "--groups", ",".join(state["outside"])]
    if spec["lock"] is not None and spec["lock"] != state["locked"]:
        changes.append("--lock" if spec["lock"] else "--unlock")
    if changes:
        run(["usermod", *changes, spec["name"]]).check()


def _write_keys(account: pwd.struct_passwd, text: str) -> None:
    """Write ~/.ssh/authorized_keys without following anything the account may have put there."""
    ids = account.pw_uid, account.pw_gid
    flags = os.O_RDONLY | os.O_DIRECTORY
    if not os.path.isdir(account.pw_dir):
        os.mkdir(account.pw_dir, 0o700)
        os.chown(account.pw_dir, *ids)
    home = os.open(account.pw_dir, flags)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(".ssh", 0o700, dir_fd=home)
        try:
            folder = os.open(".ssh", flags | os.O_NOFOLLOW, dir_fd=home)
        except OSError:
            # The account itself may have been changed a moment ago.
            raise Failed(f"{account.pw_dir}/.ssh is not a directory: move it away") from None
        os.fsync(home)
    finally:
        os.close(home)
    try:
        os.fchown(folder, *ids)
        os.fchmod(folder, 0o700)
        beside = ".authorized_keys.turnaround~"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=folder)
        new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(beside, new, 0o600, dir_fd=folder), "w") as file:
            file.write(text)
            file.flush()
            os.fchown(file.fileno(), *ids)
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        os.replace(beside, "authorized_keys", src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)
