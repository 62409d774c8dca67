"""Accounts, groups and the keys that may log in."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from pathlib import Path

import pytest

from require.remote import user
from require.remote.shell import Failed, Refused
from tests.require.remote.programs import Programs


def test_an_account_is_looked_at_without_starting_anything(programs: Programs) -> None:
    spec = {"verb": "user", "name": "root", "groups": ["root"], "keys": None, "locked": False}
    state = user.probe(spec)
    assert state["exists"]
    assert state["home"] == "/root"
    assert state["outside"] == []
    assert user.probe(spec | {"groups": ["none-such"]})["outside"] == ["none-such"]
    assert user.probe(spec | {"name": "none-such"}) == {"exists": False}
    assert user.probe({"verb": "group", "name": "none-such"}) == {"exists": False}
    assert programs.started == []


@pytest.mark.parametrize(
    ("field", "locked"), [("!", True), ("*", True), ("!$y$x", True), ("$y$x", False), ("", False)]
)
def test_a_locked_password_is_told_from_an_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, locked: bool
) -> None:
    (tmp_path / "shadow").write_text(f"rooter:x:1\nroot:{field}:19000:0:99999:7:::\n")
    monkeypatch.setattr(user, "SHADOW", str(tmp_path / "shadow"))
    spec = {"verb": "user", "name": "root", "groups": [], "keys": None, "locked": True}
    assert user.probe(spec)["locked"] is locked


SPEC = {
    "verb": "user",
    "name": "none-such",
    "groups": ["root"],
    "keys": None,
    "locked": True,
    "system": True,
    "shell": None,
    "home": "/var/lib/x",
    "keys_text": None,
    "lock": True,
}


def test_a_system_account_has_no_shell_and_its_home_is_not_made(programs: Programs) -> None:
    user.apply(SPEC, {"exists": False})
    (started,) = programs.started
    assert " ".join(started) == (
        "useradd --system --user-group --shell /usr/sbin/nologin "
        "--home-dir /var/lib/x --no-create-home --groups root none-such"
    )


def test_only_what_differs_is_modified(programs: Programs) -> None:
    state = {"exists": True, "shell": "/x", "home": "/y", "outside": ["root"], "locked": False}
    user.apply(SPEC, state)
    assert programs.started == [
        ["usermod", "--home", "/var/lib/x", "--append", "--groups", "root", "--lock", "none-such"]
    ]
    programs.started.clear()
    user.apply(SPEC, state | {"home": "/var/lib/x", "outside": [], "locked": True})
    assert programs.started == []


def test_a_group_that_is_missing_is_refused_with_the_remedy(programs: Programs) -> None:
    with pytest.raises(Refused, match=r"declare require\.user\.group\('none-such'\)"):
        user.apply(SPEC | {"groups": ["none-such"]}, {"exists": False})
    assert programs.started == []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of an account that is us, below tmp_path."""
    entry = pwd.struct_passwd(("me", "x", os.geteuid(), os.getegid(), "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: entry)
    return tmp_path


@pytest.mark.usefixtures("programs")
def test_authorized_keys_are_written_and_then_as_declared(home: Path) -> None:
    text = "ssh-ed25519 A a\n"
    spec = {**SPEC, "groups": [], "keys": hashlib.sha256(text.encode()).hexdigest()}
    spec |= {"locked": False, "shell": "/bin/sh", "home": str(home), "lock": None}
    before = user.probe(spec)
    assert (before["keys_same"], before["keys"]) == (False, "")
    user.apply(spec | {"keys_text": text}, before)
    assert (home / ".ssh/authorized_keys").read_text() == text
    assert stat.S_IMODE((home / ".ssh").stat().st_mode) == 0o700
    after = user.probe(spec)
    assert (after["keys_same"], after["keys"], after["keys_safe"]) == (True, None, True)
    (home / ".ssh/authorized_keys").chmod(0o666)
    assert not user.probe(spec)["keys_safe"]


def test_keys_are_not_written_through_a_link_that_the_account_has_laid(
    home: Path, programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By then the account may have been modified, so it is a step that broke, not one refused."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (home / ".ssh").symlink_to(elsewhere)
    state = {"exists": True, "outside": ["root"], "locked": True, "keys_same": False}
    with pytest.raises(Failed, match=r"/\.ssh is not a directory: move it away"):
        user.apply({**SPEC, "home": None, "keys_text": "ssh-ed25519 A a\n"}, state)
    assert [argv[0] for argv in programs.started] == ["usermod"]
    assert list(elsewhere.iterdir()) == []
