"""OpenSSH's own server and agent on loopback, for what a server of ours would only imitate."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet import packages

SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True)
class Sshd:
    """A running server: where it is, whom it lets in, what it shows."""

    port: int
    user: str
    host_key_line: str


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> str:
    """Makes a key pair as people do, and returns its public line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quick = ["-b", "2048"] if kind == "rsa" else []
    argv = ["ssh-keygen", "-q", "-t", kind, *quick, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


@contextmanager
def sshd(folder: Path, *authorized: str, **options: object) -> Iterator[Sshd]:
    """Starts a server that lets these public keys in as the account we are.

    Args:
        folder: where its files go.
        authorized: lines of its authorized_keys.
        options: of sshd_config, over the test's own.
    """
    packages.ensure(["openssh-server"], purpose="the tests")
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    host_key = make_key(folder / "host_key")
    (folder / "authorized_keys").write_text("".join(f"{line}\n" for line in authorized))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "PermitRootLogin": "prohibit-password",
        **options,
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    server = subprocess.Popen([SSHD, "-D", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        line = " ".join(host_key.split()[:2])
        yield Sshd(port, pwd.getpwuid(os.geteuid()).pw_name, line)
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    while True:
        if server.poll() is not None:
            raise AssertionError(f"sshd ended with exit code {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return


@contextmanager
def ssh_agent(folder: Path, *keys: Path) -> Iterator[Path]:
    """Starts an agent that holds these private keys, and gives its socket."""
    packages.ensure(["openssh-client"], purpose="the tests")
    place = folder / "agent"
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not place.exists():
            time.sleep(0.01)
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", str(key)],
                env={**os.environ, "SSH_AUTH_SOCK": str(place)},
                check=True,
            )
        yield place
    finally:
        agent.terminate()
        agent.wait()
