"""The connections of one command: one per host, a gateway's shared by all that go through it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import paramiko

from fleet import keys
from fleet.errors import FleetError
from fleet.inventory import Host, Inventory
from fleet.ssh import DEADLINES, Connection, Deadlines, Endpoint


class Connections:
    """The connections of one command: one per host, shared by all who ask for it.

    Args:
        inventory: the fleet.
        key: the private key of ops; None takes the one of the inventory's keys.
        deadlines: seconds per wait.
        others: keys of bastions that want another one; None reads what the inventory names.
    """

    def __init__(
        self,
        inventory: Inventory,
        key: paramiko.PKey | None = None,
        deadlines: Deadlines = DEADLINES,
        others: Mapping[str, paramiko.PKey] | None = None,
    ) -> None:
        hush_paramiko()
        self._inventory = inventory
        self._deadlines = deadlines
        self._key = key or keys.of_ops(inventory.keys)
        # Now, and not when a host is called: then several would ask for a passphrase at once.
        self._others = _others(inventory) if others is None else others
        self._open: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def key(self) -> paramiko.PKey:
        return self._key

    def renewed(self, inventory: Inventory) -> Connections:
        """Returns connections of their own to the fleet as it is now, with the keys of these."""
        return Connections(inventory, self._key, self._deadlines, self._others)

    def to(self, host: Host) -> Connection:
        """Returns the connection to a host, through the hosts that the inventory names on the way.

        Raises:
            FleetError: the host, or one on the way, was never enrolled, so there is no key it must
                show.
        """
        through = self._inventory.through(host)
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
                    key=self._others.get(host.name, self._key),
                    host_key=host.facts["host_key"],
                    bastion=host.name in self._inventory.bastions,
                )
                self._open[host.name] = Connection(end, gateway, self._deadlines)
            return self._open[host.name]

    def hang_up(self, host: Host) -> None:
        """Closes the connection to a host when the work on it is over, unless it is on others' way."""
        if self._inventory.is_on_a_way(host):
            return
        if (connection := self._open.get(host.name)) is not None:
            connection.close()

    def close(self) -> None:
        """Closes every connection; whatever waits on one of them is told at once."""
        for connection in list(self._open.values()):
            connection.close()


def _others(inventory: Inventory) -> dict[str, paramiko.PKey]:
    bastions = inventory.bastions.values()
    return {each.name: keys.load(each.identity) for each in bastions if each.identity}


def hush_paramiko() -> None:
    """Keeps paramiko's own tracebacks off the terminal: they reach people as our errors."""
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
