"""The hangar calls an aircraft for a campaign: to ship a release, or to have it leave it again.

The hangar's key is forced to one command there (`templates/bin/dispatch.sh.j2`), which knows four orders of
aboard by their words and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import keys, release
from fleet.artifact import Artifact
from fleet.connections import hush_paramiko
from fleet.errors import FleetError
from fleet.release import ABOARD, Completed, Input, Link, Outcome
from fleet.ssh import Connection, Endpoint

USER = "dispatch"
DISPATCH = ("aboard",)


@dataclass(frozen=True)
class Place:
    """Where an aircraft is on the tower, our key, and the host keys we know."""

    name: str
    tower: str
    key: Path
    known_hosts: Path
    port: int = 22

    def connection(self) -> Connection:
        """The connection to it, not open yet.

        Raises:
            FleetError: its host key is not known here.
        """
        hush_paramiko()
        known = (line.split(" ", 1) for line in self.known_hosts.read_text().splitlines())
        found = next((key for tower, key in known if tower == self.tower), None)
        if found is None:
            raise FleetError(
                f"{self.name}: no host key of {self.tower} is in {self.known_hosts}",
                "converge the hangar",
            )
        end = Endpoint(self.name, self.tower, self.port, USER, keys.load(self.key), found)
        return Connection(end)


class Spoken:
    """A link on which aboard's orders are said in other words.

    Args:
        link: the way to the host.
        program: what is said in the place of `sudo -n …/aboard`.

    Example:
        >>> Spoken(connection, ("aboard",)).run([*ABOARD, "list"], timeout_s=9)  # doctest: +SKIP
        Completed(exit=0, …)
    """

    def __init__(self, link: Link, program: Sequence[str]) -> None:
        self._link, self._program = link, program

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def traffic_bytes(self) -> int:
        return self._link.traffic_bytes

    def run(
        self,
        argv: Sequence[str],
        stdin: Input = None,
        *,
        timeout_s: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        order = [*self._program, *argv[len(ABOARD) :]]
        return self._link.run(order, stdin, timeout_s=timeout_s, on_line=on_line)


def ship(place: Place, artifact: Artifact) -> Outcome:
    """Ships a release as `fab deploy` does.

    Raises:
        FleetError: as `fleet.release.deploy`.
    """
    connection = place.connection()
    try:
        return release.deploy(Spoken(connection, DISPATCH), artifact)
    finally:
        connection.close()


def go_back(place: Place, kind: str, version: str) -> Outcome:
    """Has an aircraft leave a release, if that is what it is on.

    Returns:
        `already` where it is on another, which is left alone.

    Raises:
        FleetError: as `fleet.release.rollback`.
    """
    connection = place.connection()
    try:
        link = Spoken(connection, DISPATCH)
        current = {one.kind: one.version for one in release.releases(link) if one.current}
        if current.get(kind) != version:
            return Outcome(place.name, kind, current.get(kind), "already")
        return release.rollback(link, kind)
    finally:
        connection.close()
