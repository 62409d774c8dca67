"""The other place of a lab: a bare host with one account that takes files over SFTP, and does nothing else.

It stands for whatever keeps the hangar's backups in life, and is booted only when it is asked for.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from ci.lab import shell, ssh
from ci.lab.addresses import Plan
from ci.lab.host import Host
from ci.lab.tree import Tree
from fleet import secrets_edit
from fleet.inventory import load

ACCOUNT = "hangar"
HOME = "srv/backup"
_SSHD = """\
Match User {account}
    AuthorizedKeysFile /etc/ssh/{account}.keys
    ChrootDirectory /{home}
    ForceCommand internal-sftp
    DisableForwarding yes
"""


@dataclass(frozen=True)
class Vault:
    """The other place.

    Args:
        host: the host of the lab that it is.
        key: the private key of its account.
    """

    host: Host
    key: Path

    @property
    def made(self) -> bool:
        """Whether the lab has one."""
        return self.host.tree.is_made

    @property
    def files(self) -> Path:
        """What lies there, as this machine sees it."""
        return self.host.tree.root / HOME / ACCOUNT

    def variables(self) -> dict[str, object]:
        """Returns what the inventory says of it, for the hangar."""
        address = self.host.plan.port("cell0").ip
        public = sorted(self.host.tree.root.glob("etc/ssh/ssh_host_*_key.pub"))
        return {
            "backup_to": f"{ACCOUNT}@{address}:22:/{ACCOUNT}",
            "backup_host_keys": [" ".join(path.read_text().split()[:2]) for path in public],
        }


def of(lab: str, directory: Path, plan: Plan) -> Vault:
    """Returns the vault of a lab, whether it was made or not."""
    host = Host(lab, plan.vault, Tree(directory / "hosts" / plan.vault.name))
    return Vault(host, directory / "keys" / "backup_ed25519")


def make(vault: Vault, base: Path, ops_public_key: str) -> None:
    """Makes the vault's files, once: those of a bare host, and its account."""
    tree = vault.host.tree
    tree.mount(base)
    if (tree.root / HOME).exists():
        return
    tree.make(vault.host.plan, ops_public_key)
    key = ssh.make_key(vault.key, "backups of the hangar")
    inside = ["chroot", str(tree.root)]
    shell.run([*inside, "useradd", "--home-dir", "/", "--shell", "/usr/sbin/nologin", ACCOUNT])
    (tree.root / f"etc/ssh/{ACCOUNT}.keys").write_text(key)
    sshd = _SSHD.format(account=ACCOUNT, home=HOME)
    (tree.root / "etc/ssh/sshd_config.d/vault.conf").write_text(sshd)
    shell.run([*inside, "install", "-d", f"/{HOME}"])
    shell.run([*inside, "install", "-d", "-m", "0700", "-o", ACCOUNT, f"/{HOME}/{ACCOUNT}"])


def hand_over(vault: Vault, inventory: Path) -> None:
    """Gives the hangar of an inventory its two secrets, where it has none yet; ops can read them."""
    for name, value in (
        ("backup_key", vault.key.read_text()),
        ("backup_passphrase", secrets.token_urlsafe(32)),
    ):
        fleet = load(inventory)
        if name not in fleet.hosts["hangar"].secrets:
            secrets_edit.put(fleet, "group-hangar", name, value)
