"""The hangar's backup: what cannot be made again, in another place, encrypted before it leaves.

pgbackrest keeps the database (a base backup each night, every WAL segment as it is written), restic the
files (keys, audit log, content). Both speak SFTP, so the other place is an account and nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

import require
from roles.context import Context

FOLDER = "/etc/turnaround/backup"
# Debian's cluster. Others write its settings too: here are only those of the archive.
CLUSTER = "/var/lib/postgresql/17/main"
SERVER = "postgresql@17-main.service"
SETTINGS = "/etc/postgresql/17/main/conf.d/turnaround-archive.conf"
# At most so long does a change wait for the other place, and an aircraft for its acknowledgement.
ARCHIVE_WITHIN_S = 60
PATHS = (
    "/etc/turnaround/keys",
    "/etc/ssh/ssh_host_*_key*",
    "/var/lib/turnaround/backup/account",
    "/var/lib/turnaround/audit",
    "/var/lib/turnaround/artifacts",
    "/var/lib/turnaround/content",
    "/var/lib/turnaround/imports",
)
_AT_ONCE = """[Unit]
Description=After an entry in the audit log and after a publication, at once

[Path]
PathChanged=/var/lib/turnaround/audit
PathChanged=/var/lib/turnaround/content/manifest.json

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Place:
    """The other place: an account that takes files over SFTP, and a folder of its own there."""

    user: str
    address: str
    port: int
    folder: str


def place(text: str) -> Place:
    """Returns the place of `user@address:port:/folder`.

    An address and no name: nothing but this place is needed to come back, and no name server either.

    Raises `require.DeclarationError` when it is something else.

    >>> place("hangar@192.0.2.7:22:/backup")
    Place(user='hangar', address='192.0.2.7', port=22, folder='/backup')
    """
    found = re.fullmatch(r"([a-z_][a-z0-9_-]*)@([0-9.]+):(\d{1,5}):(/[A-Za-z0-9._/-]+)", text)
    try:
        if found is not None and 0 < int(found[3]) < 65536:
            return Place(found[1], str(IPv4Address(found[2])), int(found[3]), found[4].rstrip("/"))
    except AddressValueError:
        pass
    raise require.DeclarationError(
        f"backup_to: expected user@address:port:/folder, such as hangar@192.0.2.7:22:/backup, "
        f"found {text!r}"
    )


def known_hosts(at: Place, keys: object) -> str:
    """Returns the known_hosts of the other place.

    Raises `require.DeclarationError` when `keys` is no list of public keys.
    """
    lines = keys if isinstance(keys, list) else []
    if not lines or not all(re.fullmatch(r"[a-z0-9-]+ [A-Za-z0-9+/=]+", str(key)) for key in lines):
        raise require.DeclarationError(
            "backup_host_keys: expected a list of all host keys of the other place, such as "
            f"[ssh-ed25519 AAAA…, ecdsa-sha2-nistp256 AAAA…], found {keys!r}; "
            f"ssh-keyscan -p {at.port} {at.address} shows them"
        )
    name = at.address if at.port == 22 else f"[{at.address}]:{at.port}"
    return "".join(f"{name} {key}\n" for key in lines)


def apply(host: Context) -> None:
    """Declares what keeps the hangar in another place."""
    at = place(host.vars.text("backup_to"))
    passphrase = host.vars.secret("backup_passphrase")
    require.apt.packages(["pgbackrest", "restic"])
    first = require.command.handler(
        "the first backup",
        [
            "systemctl",
            "start",
            "--no-block",
            "turnaround-backup-database",
            "turnaround-backup-files",
        ],
    )
    require.file.directory(FOLDER, mode=0o750, group="postgres")
    require.file.directory("/var/lib/turnaround/backup", mode=0o775, group="postgres")
    require.file.directory("/var/cache/turnaround-backup", mode=0o700)
    # OpenSSH takes a key that is not its own user's only from nobody but that user: root may read it.
    require.file.file(
        f"{FOLDER}/key", content=host.vars.secret("backup_key"), mode=0o600, owner="postgres"
    )
    require.file.file(
        f"{FOLDER}/known_hosts", content=known_hosts(at, host.vars.get("backup_host_keys"))
    )
    require.file.file(f"{FOLDER}/passphrase", content=passphrase, mode=0o600)
    require.file.template(
        f"{FOLDER}/restic.env", template="backup/restic.env.j2", mode=0o644, place=at, folder=FOLDER
    )
    conf = require.file.template(
        f"{FOLDER}/pgbackrest.conf",
        template="backup/pgbackrest.conf.j2",
        mode=0o640,
        group="postgres",
        place=at,
        folder=FOLDER,
        cluster=CLUSTER,
        passphrase=passphrase,
        notify=[first],
    )
    require.file.file(
        SETTINGS,
        content="# Every segment of WAL goes to the other place before it is used again.\n"
        "archive_mode = on\n"
        f"archive_timeout = {ARCHIVE_WITHIN_S}\n"
        f"archive_command = 'pgbackrest --config={FOLDER}/pgbackrest.conf --stanza=turnaround"
        " archive-push %p'\n",
        needs=[conf],
        notify=[require.systemd.restarted("postgresql")],
    )
    require.file.template(
        "/opt/turnaround/bin/backup",
        template="bin/backup.sh.j2",
        mode=0o755,
        folder=FOLDER,
        name=host.name,
        paths=PATHS,
    )
    require.file.template(
        "/opt/turnaround/bin/restore",
        template="bin/restore.sh.j2",
        mode=0o755,
        server=SERVER,
        folder=FOLDER,
        name=host.name,
    )
    _unit("database", "postgres", "The hangar's database to the other place", at)
    _unit("files", "root", "The hangar's keys, logs and content to the other place", at)
    require.systemd.timer(
        "turnaround-backup-database",
        unit="turnaround-backup-database",
        on_calendar="03:10",
        persistent=True,
        description="Each night",
    )
    require.systemd.timer(
        "turnaround-backup-files",
        unit="turnaround-backup-files",
        on_calendar="*:0/10",
        description="Every ten minutes",
    )
    require.systemd.unit("turnaround-backup-files.path", content=_AT_ONCE)
    require.systemd.service("turnaround-backup-files.path")


def _unit(what: str, user: str, description: str, at: Place) -> None:
    require.systemd.unit(
        f"turnaround-backup-{what}.service",
        template="systemd/backup.service.j2",
        what=what,
        user=user,
        description=description,
        account=user != "root",
        network=[at.address],
        writes=["/var/lib/turnaround/backup", "/var/cache/turnaround-backup"],
        memory="1G",
    )
