"""The file tree of one host: an overlay above the base tree, with the few files that make it this host."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from ci.lab import shell
from ci.lab.addresses import HostPlan, Port
from ci.lab.errors import LabFault

CA_BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")
RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
MOUNTS = Path("/proc/mounts")
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(frozen=True)
class Tree:
    """Where one host's files are.

    Args:
        directory: the host's folder in the lab's.
    """

    directory: Path

    @property
    def root(self) -> Path:
        """The host's `/`."""
        return self.directory / "tree"

    @property
    def console(self) -> Path:
        """What the host says on its console."""
        return self.directory / "console.log"

    @property
    def is_made(self) -> bool:
        return (self.directory / "made").exists()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the Ed25519 host key it was made with, `SHA256:…`; empty before it was made."""
        path = self.directory / "fingerprint"
        return path.read_text().strip() if path.exists() else ""

    @property
    def host_key(self) -> str:
        """Its public Ed25519 host key, `ssh-ed25519 AAAA…`; a hangar that was restored has its former one."""
        return " ".join((self.root / _HOST_KEY).read_text().split()[:2])

    def mount(self, base: Path) -> None:
        """Lays the host's own files above the base tree.

        Raises:
            LabFault: this file system cannot carry an overlay.
        """
        layers = {name: self.directory / name for name in ("upper", "work", "tree")}
        for path in layers.values():
            path.mkdir(parents=True, exist_ok=True)
        if os.path.ismount(self.root):
            return
        options = ",".join(
            [
                f"lowerdir={_escape(base)}",
                f"upperdir={_escape(layers['upper'])}",
                f"workdir={_escape(layers['work'])}",
            ]
        )
        try:
            shell.run(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)])
        except LabFault as error:
            raise LabFault(
                f"{self.directory} cannot hold a host's files: {error.what}",
                "put the checkout on a plain file system (ext4, xfs, btrfs), not on an overlay or a share",
            ) from None

    def make(self, plan: HostPlan, ops_public_key: str) -> None:
        """Writes what makes the tree this host, once: name, network, keys, and root's access for ops."""
        if self.is_made:
            return
        root = self.root
        for path, text in files(plan).items():
            _write(root / path, text)
        _write(root / "etc/resolv.conf", _resolv_conf())
        if (Path("/") / CA_BUNDLE).exists():
            shutil.copyfile(Path("/") / CA_BUNDLE, root / CA_BUNDLE)
        _write(root / "etc/machine-id", f"{uuid.uuid4().hex}\n", mode=0o444)
        (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        _write(root / "root/.ssh/authorized_keys", ops_public_key, mode=0o600)
        shell.run(["ssh-keygen", "-q", "-A", "-f", str(root)])
        public = root / _HOST_KEY
        fingerprint = shell.run(["ssh-keygen", "-l", "-E", "sha256", "-f", str(public)]).split()[1]
        _write(self.directory / "fingerprint", fingerprint + "\n")
        _write(self.directory / "made", "")


def files(plan: HostPlan) -> dict[str, str]:
    """Returns the host's own text files by path. Pure."""
    return {
        "etc/hostname": f"{plan.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {plan.name}\n::1 localhost\n",
        # The name sorts before 80-container-*, which would take the port otherwise.
        **{
            f"etc/systemd/network/10-{port.inside}.network": network_file(port)
            for port in plan.ports
        },
    }


def network_file(port: Port) -> str:
    """Returns what systemd-networkd reads for one port."""
    gateway = f"Gateway={port.gateway}\n" if port.gateway else ""
    address6 = f"Address={port.address6}\n" if port.address6 else ""
    link_local = "ipv6" if port.address6 else "no"
    return (
        f"[Match]\nName={port.inside}\n\n"
        f"[Network]\nAddress={port.address}\n{address6}{gateway}"
        f"LinkLocalAddressing={link_local}\nIPv6AcceptRA=no\n"
    )


def nameservers(text: str) -> list[str]:
    """Returns the name servers that hosts can reach too: not those on the machine's own loopback.

    >>> nameservers("nameserver 127.0.0.53\\nnameserver 192.0.2.1\\n")
    ['192.0.2.1']
    """
    words = [line.split() for line in text.splitlines()]
    found = [pair[1] for pair in words if len(pair) > 1 and pair[0] == "nameserver"]
    return [address for address in found if not address.startswith("127.") and address != "::1"]


def _resolv_conf() -> str:
    for path in RESOLVERS:
        if path.exists() and (found := nameservers(path.read_text())):
            return "".join(f"nameserver {address}\n" for address in found)
    return ""


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _escape(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def mounts_below(directory: Path, mounts: str) -> list[str]:
    """Returns the mount points in a folder, innermost first. Pure.

    Args:
        mounts: the text of /proc/mounts.
    """
    points = [line.split(" ")[1] for line in mounts.splitlines()]
    decoded = [point.replace("\\040", " ").replace("\\011", "\t") for point in points]
    return sorted((p for p in decoded if Path(p).is_relative_to(directory)), reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmounts everything in a folder."""
    for point in mounts_below(directory, MOUNTS.read_text()):
        shell.run(["umount", point])
