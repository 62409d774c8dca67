"""User accounts, their keys, and groups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from require.catalog import declared
from require.diff import unified
from require.errors import DeclarationError
from require.resource import Change, Handler, NoChange, Plan, Resource, Spec, State, keys

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")


@dataclass(frozen=True, kw_only=True)
class User(Resource):
    """An account.

    Args:
        name: login name.
        system: made with an id below 1000 when it does not exist yet.
        groups: supplementary groups it is in, among others.
        shell: login shell, or None to leave it.
        home: home directory, or None to leave it.
        authorized_keys: every line of ~/.ssh/authorized_keys, or None to leave the file.
        locked: whether its password is locked, or None to leave it.
    """

    noun: ClassVar[str] = "user"

    name: str
    system: bool = False
    groups: tuple[str, ...] = ()
    shell: str | None = None
    home: str | None = None
    authorized_keys: tuple[str, ...] | None = None
    locked: bool | None = None

    @property
    def key(self) -> str:
        return f"user:{self.name}"

    def natural_needs(self) -> tuple[str, ...]:
        return tuple(f"group:{group}" for group in self.groups)

    def question(self) -> Spec:
        return {
            "verb": "user",
            "name": self.name,
            "groups": list(self.groups),
            "keys": self._keys_sha(),
            "locked": self.locked is not None,
        }

    def order(self) -> Spec:
        return {
            "system": self.system,
            "shell": self.shell,
            "home": self.home,
            "keys_text": None if self.authorized_keys is None else self._keys_text(),
            "lock": self.locked,
        }

    def plan(self, state: State) -> Plan:
        differs = []
        diff = ""
        if not state["exists"]:
            differs.append("create the account")
            diff = unified("", self._keys_text(), "authorized_keys") if self._keys_text() else ""
            return Change(", ".join(differs), diff)
        for name, wanted in (("shell", self.shell), ("home", self.home)):
            if wanted is not None and state[name] != wanted:
                differs.append(f"{name} {state[name]} → {wanted}")
        if state["outside"]:
            differs.append(f"join {' '.join(state['outside'])}")
        if self.locked is not None and state["locked"] != self.locked:
            differs.append("lock the password" if self.locked else "unlock the password")
        if self.authorized_keys is not None:
            if not state["keys_same"]:
                differs.append("authorized keys")
                diff = unified(state["keys"] or "", self._keys_text(), "authorized_keys")
            elif not state["keys_safe"]:
                differs.append("owner and mode of ~/.ssh")
        return Change(", ".join(differs), diff) if differs else NoChange()

    def _keys_sha(self) -> str | None:
        if self.authorized_keys is None:
            return None
        return hashlib.sha256(self._keys_text().encode()).hexdigest()

    def _keys_text(self) -> str:
        return "".join(f"{line}\n" for line in self.authorized_keys or ())


@dataclass(frozen=True, kw_only=True)
class Group(Resource):
    """A group.

    Args:
        name: group name.
        system: made with an id below 1000 when it does not exist yet.
    """

    noun: ClassVar[str] = "user"

    name: str
    system: bool = False

    @property
    def key(self) -> str:
        return f"group:{self.name}"

    def question(self) -> Spec:
        return {"verb": "group", "name": self.name}

    def order(self) -> Spec:
        return {"system": self.system}

    def plan(self, state: State) -> Plan:
        return NoChange() if state["exists"] else Change("create the group")


def user(
    name: str,
    *,
    system: bool = False,
    groups: Sequence[str] = (),
    shell: str | None = None,
    home: str | None = None,
    authorized_keys: Sequence[str] | None = None,
    locked: bool | None = None,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> User:
    """Declare an account, with a group of its own name and a home directory (0700, not for system
    accounts whose home is declared elsewhere).

    Args:
        name: login name.
        system: a system account (id below 1000, its home is not made).
        groups: supplementary groups it is in; others it is in are left.
        shell: login shell; None leaves it (a new one gets /bin/bash, a system one nologin).
        home: home directory; None leaves it (a new one gets /home/NAME). It is not moved.
        authorized_keys: all lines of its ~/.ssh/authorized_keys; others are removed. None leaves
            the file alone.
        locked: True locks the password (keys still log in), False unlocks it, None leaves it.
            A new account has no password at all and is locked.
        needs: resources that must be right first (declared groups are known).
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no account can have, a key of several lines.

    Example:
        >>> require.user.user("ops", groups=["sudo"], authorized_keys=[key], locked=True)
    """
    for each in (name, *groups):
        if not _NAME.fullmatch(each):
            raise DeclarationError(f"user.user({name!r}): {each!r} cannot be a name")
    lines = None if authorized_keys is None else tuple(key.strip() for key in authorized_keys)
    if any("\n" in line for line in lines or ()):
        raise DeclarationError(f"user.user({name!r}): an authorized key has more than one line")
    return declared(
        User(
            name=name,
            system=system,
            groups=tuple(groups),
            shell=shell,
            home=home,
            authorized_keys=lines,
            locked=locked,
            needs=keys(needs),
            notify=tuple(notify),
        )
    )


def group(
    name: str,
    *,
    system: bool = False,
    needs: Sequence[Resource] = (),
    notify: Sequence[Handler] = (),
) -> Group:
    """Declare a group.

    Args:
        name: group name.
        system: with an id below 1000 when it is made.
        needs: resources that must be right first.
        notify: handlers to run after a change.

    Raises:
        DeclarationError: a name that no group can have.

    Example:
        >>> require.user.group("media", system=True)
    """
    if not _NAME.fullmatch(name):
        raise DeclarationError(f"user.group({name!r}): cannot be a name")
    return declared(Group(name=name, system=system, needs=keys(needs), notify=tuple(notify)))
