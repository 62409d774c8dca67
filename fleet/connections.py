"""The connections of one command: one per host, a gateway's shared by all that go through it."""

from __future__ import annotations

import getpass
import logging
import sys
import threading
from pathlib import Path

import paramiko

from fleet.errors import FleetError, UsageError
from fleet.inventory import Host, Inventory
from fleet.ssh import DEADLINES, Connection, Deadlines, Endpoint


class Connections:
    """The connections of one command: one per host, shared by all who ask for it.

    Args:
        inventory: the fleet.
        key: the private key of ops; None reads `ops_ed25519` of the inventory's keys.
        deadlines: seconds per wait.
    """

    def __init__(
        self,
        inventory: Inventory,
        key: paramiko.PKey | None = None,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        _hush_paramiko()
        self._inventory = inventory
        self._deadlines = deadlines
        self._key = key or load_key(inventory.keys / "ops_ed25519")
        self._open: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def key(self) -> paramiko.PKey:
        return self._key

    def to(self, host: Host) -> Connection:
        """Returns the connection to a host, through the hosts that the inventory names on the way.

        Raises:
            FleetError: the host, or one on the way, was never enrolled, so there is no key it must
                show.
        """
        through = self._inventory.hosts[host.via] if host.via else None
        gateway = self.to(through) if through else None
        if not host.enrolled:
            raise FleetError(
                f"{host.name}: never enrolled, so the key it must show is not known",
                f"fab init-machine --host root@ADDRESS:22 --as {host.name}",
            )
        with self._lock:
            if host.name not in self._open:
                end = Endpoint(
                    name=host.name,
                    # Only who is in the tower can call a place in it.
                    address=(through and through.tower and host.tower) or host.address,
                    port=host.port,
                    user=host.user,
                    key=self._key,
                    host_key=host.facts["host_key"],
                )
                self._open[host.name] = Connection(end, gateway, self._deadlines)
            return self._open[host.name]

    def hang_up(self, host: Host) -> None:
        """Closes the connection to a host when the work on it is over, unless it is on others' way."""
        if any(other.via == host.name for other in self._inventory.hosts.values()):
            return
        if (connection := self._open.get(host.name)) is not None:
            connection.close()

    def close(self) -> None:
        """Closes every connection; whatever waits on one of them is told at once."""
        for connection in list(self._open.values()):
            connection.close()


def load_key(path: Path) -> paramiko.PKey:
    """Returns a private key, asking for its passphrase on a terminal.

    Raises:
        UsageError: there is none, or it is none.
    """
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except paramiko.PasswordRequiredException:
        if sys.stdin.isatty():
            return paramiko.Ed25519Key.from_private_key_file(
                str(path), password=getpass.getpass(f"passphrase of {path}: ")
            )
        raise UsageError(
            f"{path} has a passphrase, and there is no terminal to ask for it"
        ) from None
    except FileNotFoundError:
        raise UsageError(
            f"there is no key of ops at {path}",
            "set TURNAROUND_KEYS to the folder with ops_ed25519, "
            f"or make one: ssh-keygen -t ed25519 -f {path}",
        ) from None
    except (paramiko.SSHException, OSError, ValueError) as error:
        raise UsageError(f"{path}: expected an Ed25519 private key: {error}") from None


def _hush_paramiko() -> None:
    """Keeps paramiko's own tracebacks off the terminal: they reach people as our errors."""
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
