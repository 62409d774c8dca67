"""What each noun makes of what it may find. One small case per situation, named after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

import require
from require.resource import Change, NoChange, Plan, Resource, Unknown
from require.secret import MASK, Secret

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def found(content: str, /, mode: int = 0o644, owner: str = "root", **more: Any) -> dict[str, Any]:
    state = {"kind": "file", "mode": mode, "owner": owner, "group": "root", "size": len(content)}
    return state | {"sha": sha(content)} | more


def motd(**more: Any) -> Callable[[], Resource]:
    return lambda: require.file.file("/etc/mo td", **({"content": "new\n"} | more))


ADDED = "--- /etc/mo td (on the host)\n+++ /etc/mo td (declared)\n@@ -0,0 +1 @@\n+new\n"
REPLACED = "--- /etc/mo td (on the host)\n+++ /etc/mo td (declared)\n@@ -1 +1 @@\n-old\n+new\n"
DIRECTORY = {"kind": "directory", "mode": 0o755, "owner": "root", "group": "root"}

FILE: dict[str, Case] = {
    "as declared": (motd(), found("new\n"), NoChange()),
    "absent, with a space in its path": (
        motd(),
        {"kind": "absent"},
        Change("create the file", ADDED),
    ),
    "wrong content": (motd(), found("old\n", text="old\n"), Change("content", REPLACED)),
    "wrong mode": (motd(), found("new\n", mode=0o600), Change("mode 0600 → 0644")),
    "wrong owner": (motd(), found("new\n", owner="games"), Change("owner games → root")),
    "owner left": (motd(owner=None, group=None), found("new\n", owner="games"), NoChange()),
    "everything wrong": (
        motd(),
        found("old\n", 0o600, "games", text="old\n"),
        Change("content, mode 0600 → 0644, owner games → root", REPLACED),
    ),
    "too large to show": (
        motd(),
        found("x" * 70_000),
        Change("content", "(the text on the host, 70000 bytes, is too large or not a text)\n"),
    ),
    "not a text": (
        motd(content=b"\xff\0"),
        found("old", text="old"),
        Change("content", "(not a text: 2 bytes)\n"),
    ),
    "a secret is not shown": (
        motd(content=Secret("s3cret")),
        found("former s3cret"),
        Change("content", f"(the content holds a secret: {MASK})\n"),
    ),
    "a link in its place": (
        motd(),
        {"kind": "link", "target": "/run/motd"},
        Change("create the file in place of a link", ADDED),
    ),
    "a directory in its place": (
        motd(),
        DIRECTORY,
        Unknown("a directory is in the way of this file: move it", blocked=True),
    ),
    "directory as declared": (lambda: require.file.directory("/srv"), DIRECTORY, NoChange()),
    "directory absent": (
        lambda: require.file.directory("/srv"),
        {"kind": "absent"},
        Change("create the directory"),
    ),
    "directory of wrong mode": (
        lambda: require.file.directory("/srv", mode=0o750),
        DIRECTORY,
        Change("mode 0755 → 0750"),
    ),
    "a file in place of a directory": (
        lambda: require.file.directory("/srv"),
        found("x"),
        Unknown("a file is in the way of this directory: move it", blocked=True),
    ),
    "link as declared": (
        lambda: require.file.link("/a", "b"),
        {"kind": "link", "target": "b"},
        NoChange(),
    ),
    "link elsewhere": (
        lambda: require.file.link("/a", "b"),
        {"kind": "link", "target": "c"},
        Change("link to b instead of c"),
    ),
    "file in place of a link": (
        lambda: require.file.link("/a", "b"),
        found("x"),
        Change("create the link in place of a file to b"),
    ),
    "absent as declared": (lambda: require.file.absent("/a"), {"kind": "absent"}, NoChange()),
    "not absent": (
        lambda: require.file.absent("/a"),
        {"kind": "link", "target": "b"},
        Change("remove the link"),
    ),
}


APT: dict[str, Case] = {
    "installed": (
        lambda: require.apt.packages(["nginx"]),
        {"dpkg": True, "missing": []},
        NoChange(),
    ),
    "some missing": (
        lambda: require.apt.packages(["nginx", "redis", "sudo"]),
        {"dpkg": True, "missing": ["redis", "sudo"]},
        Change("install redis sudo"),
    ),
    "no dpkg": (
        lambda: require.apt.packages(["nginx"]),
        {"dpkg": False, "missing": []},
        Unknown("there is no dpkg on this host", blocked=True),
    ),
}


def ops() -> Resource:
    return require.user.user(
        "ops", groups=["sudo"], shell="/bin/bash", authorized_keys=["ssh-ed25519 A a"], locked=True
    )


def account(**more: Any) -> dict[str, Any]:
    state = {"exists": True, "shell": "/bin/bash", "home": "/home/ops", "outside": []}
    return state | {"locked": True, "keys_same": True, "keys": None, "keys_safe": True} | more


KEYS = (
    "--- authorized_keys (on the host)\n+++ authorized_keys (declared)\n"
    "@@ -1 +1 @@\n-ssh-ed25519 B b\n+ssh-ed25519 A a\n"
)

USER: dict[str, Case] = {
    "as declared": (ops, account(), NoChange()),
    "wrong shell": (ops, account(shell="/bin/sh"), Change("shell /bin/sh → /bin/bash")),
    "outside a group": (ops, account(outside=["sudo"]), Change("join sudo")),
    "password open": (ops, account(locked=False), Change("lock the password")),
    "another key": (
        ops,
        account(keys_same=False, keys="ssh-ed25519 B b\n"),
        Change("authorized keys", KEYS),
    ),
    "keys others can write": (
        ops,
        account(keys_safe=False),
        Change("owner and mode of ~/.ssh"),
    ),
    "absent": (
        lambda: require.user.user("fleet", system=True),
        {"exists": False},
        Change("create the account"),
    ),
    "what is not declared is left": (
        lambda: require.user.user("ops"),
        account(shell="/bin/zsh", locked=None),
        NoChange(),
    ),
    "group absent": (
        lambda: require.user.group("media"),
        {"exists": False},
        Change("create the group"),
    ),
    "group there": (lambda: require.user.group("media"), {"exists": True}, NoChange()),
}


def tools() -> Resource:
    return require.python.environment(
        "/opt/tools", wheelhouse="/srv/wheels", requirements=["Flask==3.1.2", "click"]
    )


PYTHON: dict[str, Case] = {
    "as declared": (
        tools,
        {"made": True, "ensurepip": True, "installed": {"flask": "3.1.2", "click": "8"}},
        NoChange(),
    ),
    "older and missing": (
        tools,
        {"made": True, "ensurepip": True, "installed": {"flask": "3.0.0"}},
        Change("install flask 3.0.0 → 3.1.2, click absent → any"),
    ),
    "absent": (
        tools,
        {"made": False, "ensurepip": True, "installed": {}},
        Change("make the environment with 2 packages"),
    ),
    "absent, and none can be made": (
        tools,
        {"made": False, "ensurepip": False, "installed": {}},
        Unknown("until the package python3-venv is installed"),
    ),
}

COMMAND: dict[str, Case] = {
    "guard met": (
        lambda: require.command.command("keys", ["ssh-keygen", "-A"], creates="/etc/key"),
        {"done": True},
        NoChange(),
    ),
    "guard not met": (
        lambda: require.command.command("keys", ["ssh-keygen", "-A", "a b"], creates="/etc/key"),
        {"done": False},
        Change("run ssh-keygen -A 'a b'"),
    ),
}

TABLES = {
    "apt": APT,
    "command": COMMAND,
    "file": FILE,
    "python": PYTHON,
    "user": USER,
}


@pytest.mark.parametrize(
    ("make", "state", "expected"),
    [
        pytest.param(*case, id=f"{noun}: {name}")
        for noun, table in TABLES.items()
        for name, case in table.items()
    ],
)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected
