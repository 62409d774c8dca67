"""How to get into a host with plain ssh: over the ramp while its cable is in, else by the hangar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ci.lab import shell
from ci.lab.addresses import HostPlan

ENROLLED_USER = "ops"
BARE_USER = "root"


@dataclass(frozen=True)
class Door:
    """One host as ssh sees it.

    Args:
        plan: names and addresses.
        host_key: its public key, `ssh-ed25519 AAAA…`.
        enrolled: whether init-machine has made the ops account and locked root.
        ramp: whether the ramp's cable is in.
    """

    plan: HostPlan
    host_key: str
    enrolled: bool
    ramp: bool

    @property
    def address(self) -> str:
        return (
            self.plan.first_contact if self.ramp or not self.plan.is_aircraft else self.plan.tower
        )

    @property
    def jumps(self) -> bool:
        return self.address == self.plan.tower


def make_key(path: Path, owner: str) -> str:
    """Makes a key of the lab when it is not there, and returns its public half."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shell.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", owner, "-f", str(path)])
    return path.with_suffix(".pub").read_text()


def config(doors: list[Door], key: Path, known_hosts: Path) -> str:
    """Returns an ssh_config for all hosts of the lab. Pure."""
    blocks = [
        "Host *\n"
        f'  IdentityFile "{key}"\n'
        "  IdentitiesOnly yes\n"
        f'  UserKnownHostsFile "{known_hosts}"\n'
        "  StrictHostKeyChecking yes\n"
        "  LogLevel ERROR\n"
    ]
    for door in doors:
        blocks.append(
            f"Host {door.plan.name}\n"
            f"  HostName {door.address}\n"
            f"  HostKeyAlias {door.plan.name}\n"
            f"  User {ENROLLED_USER if door.enrolled else BARE_USER}\n"
            + ("  ProxyJump hangar\n" if door.jumps else "")
        )
    return "".join(blocks)


def known_hosts(doors: list[Door]) -> str:
    """Returns the host keys of the lab, each under the host's name. Pure."""
    return "".join(f"{door.plan.name} {door.host_key}\n" for door in doors)


def write(folder: Path, doors: list[Door], key: Path) -> Path:
    """Writes both files into a folder and returns the path of the ssh_config."""
    folder.mkdir(exist_ok=True)
    keys, path = folder / "known_hosts", folder / "config"
    keys.write_text(known_hosts(doors))
    path.write_text(config(doors, key, keys))
    return path
