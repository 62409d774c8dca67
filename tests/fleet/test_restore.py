"""The two scripts that bring a hangar back, with programs that say what they do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleet import restore_script
from require.templates import render

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's folders below one of the test's, and the programs that the scripts call."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ssh", "getent", "groupadd", "useradd", "systemctl", "apt-get", "sync"):
        put(programs / name, f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/said\n')
    put(
        programs / "restic",
        f'#!/bin/sh\necho "restic $*" >> {tmp_path}/said\n'
        '[ "$1" != dump ] || echo turnaround:x:995:994::/var/lib/turnaround:/bin/false\n',
    )
    put(programs / "getent", "#!/bin/sh\nexit 2\n")
    put(programs / "setpriv", f'#!/bin/sh\necho "setpriv $*" >> {tmp_path}/said\necho f\n')
    for folder in ("etc/turnaround/backup", "var/lib/turnaround/backup"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/turnaround/backup/restic.env").write_text("")
    return tmp_path


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def run(machine: Path, script: str) -> subprocess.CompletedProcess[str]:
    for place in ("/etc/turnaround", "/var/lib/turnaround/backup"):
        script = script.replace(place, f"{machine}{place}")
    path = f"{machine}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-s"], input=script, env={"PATH": path}, capture_output=True, text=True, check=False
    )


def said(machine: Path) -> str:
    path = machine / "said"
    return path.read_text() if path.exists() else ""


def identity() -> str:
    env = 'export RESTIC_CACHE_DIR="$folder/cache"\n'
    return restore_script.identity(
        "hangar", {"key": b"it's a key\n", "restic.env": env.encode()}
    ).decode()


def restore() -> str:
    variables = {"folder": "/etc/turnaround/backup", "name": "hangar", "server": "postgresql"}
    return render(TOP / "templates", "bin/restore.sh.j2", variables).text


class TestIdentity:
    def test_a_bare_machine_gets_the_keys_and_an_account_of_the_same_numbers(
        self, machine: Path
    ) -> None:
        (machine / "etc/turnaround/backup/restic.env").unlink()
        (machine / "etc/turnaround/backup").rmdir()
        (machine / "etc/turnaround").rmdir()
        done = run(machine, identity())
        assert done.returncode == 0, done.stderr
        lines = said(machine)
        assert "groupadd --system --gid 994 turnaround" in lines
        assert "useradd --system --uid 995 --gid turnaround" in lines
        assert "--include" in lines
        assert lines.rstrip().endswith("systemctl try-reload-or-restart ssh.service")
        key = machine / "etc/turnaround/backup/key"
        assert (key.read_text(), key.stat().st_mode & 0o077) == ("it's a key\n", 0)
        assert (machine / "var/lib/turnaround/backup/restoring").exists()

    def test_a_machine_that_is_somebody_already_is_left_alone(self, machine: Path) -> None:
        done = run(machine, identity())
        assert done.returncode == 1
        assert "this is no bare machine" in done.stderr
        assert said(machine) == ""

    def test_one_that_was_cut_goes_on(self, machine: Path) -> None:
        (machine / "var/lib/turnaround/backup/restoring").touch()
        assert run(machine, identity()).returncode == 0


class TestData:
    def test_a_hangar_that_nobody_restores_keeps_its_database(self, machine: Path) -> None:
        done = run(machine, restore())
        assert done.returncode == 1
        assert "its database is left alone" in done.stderr
        assert said(machine) == ""

    def test_the_mark_goes_when_everything_is_back(self, machine: Path) -> None:
        mark = machine / "var/lib/turnaround/backup/restoring"
        mark.touch()
        done = run(machine, restore())
        assert done.returncode == 0, done.stderr
        assert "--delta restore" in said(machine)
        assert not mark.exists()

    def test_a_database_that_is_back_is_not_brought_back_again(self, machine: Path) -> None:
        state = machine / "var/lib/turnaround/backup"
        (state / "restoring").touch()
        put(machine / "bin/restic", "#!/bin/sh\nexit 1\n")
        assert run(machine, restore()).returncode == 1
        assert (state / "restoring.database").exists()
        (machine / "said").unlink()
        put(machine / "bin/restic", "#!/bin/sh\n")
        assert run(machine, restore()).returncode == 0
        assert "--delta restore" not in said(machine)
