"""`fab restore`: a destroyed hangar is made anew, on a bare machine, from what the other place keeps.

The fleet must not notice: so its keys come back first, those of sshd among them, and from then on it is the
host that everybody pinned. Then it is enrolled and converged as any host, and then its database and its
content come back. Each step finds what is done already, so whatever cuts it, the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet import hostkeys, restore_script
from fleet.connections import Connections
from fleet.context import catalog
from fleet.converge import step
from fleet.enrol import Enrolment, Place
from fleet.errors import AccessRefused, FleetError, UsageError
from fleet.inventory import Host, Inventory
from fleet.ssh import Connection, Endpoint
from roles.backup import FOLDER

IDENTITY_S = 600.0
LOOK_S = 60.0
EVERY_S = 2.0
UNIT = "turnaround-restore"
# Long enough for some terabytes of films; the host goes on when we stop looking.
DATA_S = 24 * 3600.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Restoration:
    """One hangar's way back.

    Args:
        inventory: the fleet.
        host: the hangar.
        place: where the bare machine answers.
        fingerprint: `SHA256:…` that the machine must show; empty asks.
        confirm: shown the fingerprint, says whether it is the machine's.
        connections: the fleet's.
        say: is told each step.
        sleep: waits that many seconds.
        clock: seconds, monotonic.
    """

    inventory: Inventory
    host: Host
    place: Place
    fingerprint: str
    confirm: Callable[[str], bool]
    connections: Connections
    say: Say
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self) -> None:
        """Does all of it but the release.

        Raises:
            UsageError: the host has no backup, was never enrolled, or is one that lives.
            FleetError: a step failed; the same command goes on there.
        """
        files = self._credentials()
        self._identity(files)
        # By its own key from here on, which is the one that everybody knows.
        Enrolment(
            self.inventory,
            self.host,
            self.place,
            None,
            lambda shown: False,
            self.connections,
            self.say,
        ).run()
        connection = self.connections.to(self.host)
        self._check_begun(connection)
        self._converge(connection)
        self._data(connection)

    def _credentials(self) -> Mapping[str, bytes]:
        """Returns what reaches the other place, as the role will write it, by name."""
        if "backup" not in self.host.roles or not self.host.enrolled:
            raise UsageError(
                f"{self.host.name}: expected an enrolled host with the role backup, found the roles "
                f"{', '.join(self.host.roles)}",
                "without a backup it is a new hangar: fab init-machine",
            )
        declared = catalog(self.inventory, self.host, ("backup",))
        files: dict[str, bytes] = {}
        for name in ("key", "known_hosts", "passphrase", "restic.env"):
            resource: Any = declared[f"file:{FOLDER}/{name}"]
            files[name] = resource.content
        return files

    def _bare(self) -> Connection | None:
        """Logs in at the bare machine; None when it shows the hangar's own key already."""
        pinned = hostkeys.parse(self.host.facts["host_key"]).fingerprint
        seen = []

        def confirm(shown: str) -> bool:
            seen.append(shown)
            if shown == pinned:
                return False
            return shown == self.fingerprint if self.fingerprint else self.confirm(shown)

        name, place = self.host.name, self.place
        policy = hostkeys.FirstContact(name, None, confirm)
        self.say(f"connecting to {place.user}@{place.address}:{place.port}")
        connection = Connection(
            Endpoint(
                name, place.address, place.port, place.user, self.connections.key, None, policy
            )
        )
        try:
            connection.open()
        except AccessRefused:
            if pinned in seen:
                return None
            raise
        return connection

    def _identity(self, files: Mapping[str, bytes]) -> None:
        """Gives the bare machine the keys that the hangar had."""
        bare = self._bare()
        if bare is None:
            self.say("it has the hangar's keys already")
            return
        try:
            self.say("bringing back its keys")
            shell = ["sh", "-s"] if self.place.user == "root" else ["sudo", "-n", "sh", "-s"]
            script = restore_script.identity(self.host.name, files)
            bare.run(shell, script, timeout_s=IDENTITY_S).check(self.host.name, "its keys")
        finally:
            bare.close()

    def _check_begun(self, connection: Connection) -> None:
        looked = connection.run(["test", "-e", restore_script.MARK], timeout_s=LOOK_S)
        if looked.exit:
            raise UsageError(
                f"{self.host.name}: this is the hangar, and nobody is restoring it; its database was "
                "left alone",
                f"if only its release is missing: fab deploy-hangar --target {self.host.name}; to go "
                "back to the backup all the same, give it a bare machine",
            )

    def _converge(self, connection: Connection) -> None:
        self.say("its roles")
        step(connection, self.host, catalog(self.inventory, self.host))

    def _data(self, connection: Connection) -> None:
        """Has the host bring back database and content by itself, and watches it."""
        active = connection.run(["systemctl", "is-active", "--quiet", UNIT], timeout_s=LOOK_S)
        if active.exit:
            start = ["sudo", "-n", "systemd-run", "--quiet", "--collect", f"--unit={UNIT}"]
            connection.run([*start, "/opt/turnaround/bin/restore"], timeout_s=LOOK_S).check(
                self.host.name, "beginning"
            )
        told = ""
        until = self.clock() + DATA_S
        while self.clock() < until:
            self.sleep(EVERY_S)
            looked = connection.run(["sh", "-c", _LOOK], timeout_s=LOOK_S).check(
                self.host.name, "looking how it goes"
            )
            state, _, said = looked.stdout.decode(errors="replace").strip().partition(" ")
            if said != told:
                told = said
                self.say(said)
            if state == "back":
                return
            if state != "active":
                raise FleetError(
                    f"{self.host.name}: bringing it back stopped: {said}",
                    "run the same command again when the reason is gone; the host's journal has all "
                    f"it said: journalctl -u {UNIT}",
                )
        raise FleetError(
            f"{self.host.name}: still bringing back its content after {DATA_S / 3600:.0f} hours",
            "it goes on by itself; run the same command again to watch it",
        )


_LOOK = f"""
if ! test -e {restore_script.MARK}; then printf 'back '
elif systemctl is-active --quiet {UNIT}; then printf 'active '
else printf 'stopped '; fi
sudo -n journalctl _SYSTEMD_UNIT={UNIT}.service --lines=1 --output=cat --quiet
"""
