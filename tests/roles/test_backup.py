"""The hangar's backup: where it goes, and that nothing is kept while a hangar is being restored."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import require
from require.templates import render
from roles import backup

TOP = Path(__file__).resolve().parents[2]
DATABASE = "/etc/systemd/system/turnaround-backup-database.service"
KEYS = ["ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 BBBB"]


class Variables(dict[str, Any]):
    def text(self, key: str) -> str:
        return str(self[key])

    def secret(self, key: str) -> require.Secret:
        return require.Secret(f"the {key}")


def declared(**changes: object) -> require.Catalog:
    given = {"backup_to": "hangar@192.0.2.7:2222:/backup", "backup_host_keys": KEYS, **changes}
    with require.declare(templates=TOP / "templates") as catalog:
        backup.apply(SimpleNamespace(name="hangar", vars=Variables(given)))  # type: ignore[arg-type]
    return catalog


def content(path: str, **changes: object) -> str:
    resource: Any = declared(**changes)[f"file:{path}"]
    return str(resource.content.decode())


@pytest.mark.parametrize(
    "text",
    [
        "hangar@192.0.2.7:22",
        "192.0.2.7:22:/backup",
        "hangar@vault.example:22:/backup",
        "hangar@192.0.2.700:22:/backup",
        "hangar@192.0.2.7:0:/backup",
        "hangar@192.0.2.7:22:backup",
        "hangar@192.0.2.7:22:/a b",
    ],
)
def test_another_place_is_an_account_an_address_a_port_and_a_folder(text: str) -> None:
    with pytest.raises(require.DeclarationError, match="expected user@address:port:/folder"):
        declared(backup_to=text)


@pytest.mark.parametrize("keys", [None, [], "ssh-ed25519 AAAA", ["ssh-ed25519 AAAA\nother"]])
def test_the_other_place_is_known_by_its_keys(keys: object) -> None:
    with pytest.raises(require.DeclarationError, match="ssh-keyscan -p 2222"):
        declared(backup_host_keys=keys)


def test_both_programs_go_to_the_same_place_with_the_same_keys() -> None:
    known = content(f"{backup.FOLDER}/known_hosts")
    assert known.splitlines() == [f"[192.0.2.7]:2222 {key}" for key in KEYS]
    assert content(
        f"{backup.FOLDER}/known_hosts", backup_to="hangar@192.0.2.7:22:/backup"
    ).startswith("192.0.2.7 ssh-ed25519")
    conf = content(f"{backup.FOLDER}/pgbackrest.conf")
    assert "repo1-sftp-host=192.0.2.7\nrepo1-sftp-host-port=2222\n" in conf
    assert "repo1-sftp-host-key-check-type=strict\n" in conf
    env = content(f"{backup.FOLDER}/restic.env")
    assert "sftp:hangar@192.0.2.7:/backup/files" in env
    assert "-o StrictHostKeyChecking=yes" in env


def test_the_passphrase_is_in_no_diff_and_nobody_else_reads_it() -> None:
    catalog = declared()
    for name in ("key", "passphrase", "pgbackrest.conf"):
        resource: Any = catalog[f"file:{backup.FOLDER}/{name}"]
        assert resource.secrets, name
        assert resource.mode & 0o007 == 0, name


def test_the_walls_let_out_to_the_other_place_only() -> None:
    for what, user in (("database", "postgres"), ("files", "root")):
        text = content(f"/etc/systemd/system/turnaround-backup-{what}.service")
        assert f"User={user}\n" in text
        assert "IPAddressAllow=192.0.2.7\n" in text
        assert ("CAP_DAC_READ_SEARCH" in text) == (user == "root")
    # systemd obeys the last: the server's own shared memory is that account's too.
    removes = [line for line in content(DATABASE).splitlines() if line.startswith("RemoveIPC=")]
    assert removes[-1] == "RemoveIPC=no"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script with its folders in a place of the test's, and programs that say what they do."""
    text = render(
        TOP / "templates",
        "bin/backup.sh.j2",
        {"folder": str(tmp_path), "name": "hangar", "paths": [str(tmp_path / "a b"), "/nowhere"]},
    ).text
    (tmp_path / "backup").write_text(text.replace("/var/lib/turnaround/backup", str(tmp_path)))
    (tmp_path / "backup").chmod(0o755)
    for name in ("pgbackrest", "restic", "getent"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/said\n')
        program.chmod(0o755)
    (tmp_path / "restic.env").write_text("")
    return tmp_path / "backup"


def run(script: Path, *words: str) -> tuple[int, str]:
    path = f"{script.parent}/bin:{os.environ['PATH']}"
    done = subprocess.run([script, *words], env={"PATH": path}, capture_output=True, text=True)
    said = script.parent / "said"
    return done.returncode, said.read_text() if said.exists() else ""


def test_what_was_kept_is_noted_after_it_was(script: Path) -> None:
    assert run(script, "database")[0] == 0
    assert (script.parent / "database").read_text().endswith("Z\n")
    (script.parent / "bin" / "restic").write_text("#!/bin/sh\nexit 1\n")
    assert run(script, "files")[0] == 1
    assert not (script.parent / "files").exists()


def test_files_that_are_not_there_yet_are_left_out_and_old_snapshots_go_once_a_day(
    script: Path,
) -> None:
    (script.parent / "a b").mkdir()
    _, said = run(script, "files")
    assert "/nowhere" not in said
    assert "--prune" in said
    before = len(said)
    assert "--prune" not in run(script, "files")[1][before:]


def test_nothing_is_kept_before_a_restored_hangar_is_whole(script: Path) -> None:
    (script.parent / "restoring").touch()
    for what in ("database", "files"):
        assert run(script, what) == (0, "")


def test_another_word_is_refused(script: Path) -> None:
    assert run(script, "restore")[0] == 64
