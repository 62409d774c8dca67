"""First contact: a bare Debian with sshd becomes a host of the fleet, with a place in the tower.

The order is what makes an interruption harmless: root is shut out only after ops came in by themselves,
and `enrolled/HOST.yml` is written last; a second run finds what is done and does the rest. Run on a host
that is enrolled, it changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import paramiko

from fleet import enrol_script, hostkeys
from fleet.aboard import disk
from fleet.channel import Completed
from fleet.connections import Connections
from fleet.context import catalog
from fleet.converge import step
from fleet.errors import AccessRefused, Exit, FleetError, Offline, UsageError
from fleet.inventory import FACTS, Host, Inventory, load
from fleet.report import Outcome
from fleet.ssh import Connection, Endpoint

# The hangar's audit log is one of the things that aboard keeps.
FIRST_ROLES = ("base", "aboard", "tower", "packages")
PREPARE_S = 600.0
CLOSE_S = 60.0
REACH_ATTEMPTS = 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where and as whom a host is reached the first time."""

    user: str
    address: str
    port: int


@dataclass
class Enrolment:
    """One first contact.

    Args:
        inventory: the fleet; the host must be in it.
        host: which of its hosts.
        place: where it answers now.
        fingerprint: `SHA256:…` that it must show, or None to ask.
        confirm: shown the fingerprint, says whether it is the host's.
        connections: the fleet's, to tell the hangar of a new aircraft.
        say: is told each step.
        now: the time, for `enrolled_at`.
    """

    inventory: Inventory
    host: Host
    place: Place
    fingerprint: str | None
    confirm: Callable[[str], bool]
    connections: Connections
    say: Say
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        self._changes: list[str] = []

    def run(self) -> Outcome:
        """Takes the host from bare to enrolled, or finds that it is.

        Raises:
            UsageError: the hangar must come first, the inventory and the roles do not fit, or the
                fingerprint is not that of the key that is pinned already.
            FleetError: the host or the hangar could not do it; a second run goes on from there.
        """
        self._check_order()
        self._check_fingerprint()
        first = self._enter()
        try:
            facts = self._prepare(first)
            ops = self._as_ops(first, facts["host_key"])
        except BaseException:
            first.close()
            raise
        if ops is not first:
            first.close()
        try:
            self._script(ops, enrol_script.close(), CLOSE_S, "shutting out root")
            self._converge(ops, facts)
        finally:
            ops.close()
        self._write(facts)
        self._reach()
        return self._outcome()

    def _check_order(self) -> None:
        way = self.inventory.way_to(self.host)
        for via in way:
            if not via.enrolled:
                raise UsageError(
                    f"{self.host.name} is reached through {via.name}, which is not enrolled yet",
                    f"first: fab init-machine --host root@{via.address}:22 --as {via.name}",
                )
        for host, roles in (
            (self.host, FIRST_ROLES),
            *((via, ("tower",)) for via in way if "tower" in via.roles),
        ):
            catalog(self.inventory, host, roles)

    def _check_fingerprint(self) -> None:
        pinned = self.host.facts.get("host_key")
        if pinned is None or self.fingerprint is None:
            return
        if (known := hostkeys.parse(pinned).fingerprint) != self.fingerprint:
            raise UsageError(
                f"{self.host.name}: expected --fingerprint to be that of the key pinned at first "
                f"contact, {known}, found {self.fingerprint}",
                "leave --fingerprint out; or, if somebody really set this host up anew, remove "
                f"{self.inventory.enrolled / self.host.name}.yml first",
            )

    def _enter(self) -> Connection:
        """Logs in as the given user, or as ops when that user is shut out already."""
        policy = hostkeys.FirstContact(self.host.name, self.fingerprint, self.confirm)
        self.say(f"connecting to {self.place.user}@{self.place.address}:{self.place.port}")
        first = Connection(self._endpoint(self.place.user, self.host.facts.get("host_key"), policy))
        try:
            first.open()
        except AccessRefused as refused:
            pinned = self.host.facts.get("host_key")
            if pinned is None and policy.accepted is not None:
                pinned = hostkeys.line_of(policy.accepted)
            if pinned is None or self.place.user == self.host.user:
                raise
            self.say(f"{self.place.user} is shut out; trying {self.host.user}")
            first = Connection(self._endpoint(self.host.user, pinned))
            try:
                first.open()
            except AccessRefused:
                raise refused from None
        return first

    def _endpoint(
        self, user: str, host_key: str | None, policy: paramiko.MissingHostKeyPolicy | None = None
    ) -> Endpoint:
        return Endpoint(
            self.host.name,
            self.place.address,
            self.place.port,
            user,
            self.connections.key,
            host_key,
            policy,
        )

    def _prepare(self, first: Connection) -> dict[str, str]:
        """Makes the ops account and the host's keys, and returns what is public of them."""
        script = enrol_script.prepare(
            self.host.name,
            hostkeys.line_of(self.connections.key),
            is_hangar="hangar" in self.host.groups,
        )
        facts = self._script(first, script, PREPARE_S, "making the ops account and the keys")
        shown = first.host_key
        return {"host_key": hostkeys.line_of(shown), **facts}

    def _script(
        self, connection: Connection, script: bytes, timeout_s: float, what: str
    ) -> dict[str, str]:
        self.say(what)
        root = connection.endpoint.user == "root"
        argv = ["sh", "-s"] if root else ["sudo", "-n", "sh", "-s"]
        done = connection.run(argv, script, timeout_s=timeout_s).check(self.host.name, what)
        for line in done.stdout.decode(errors="replace").splitlines():
            if line.startswith("changed "):
                self._changed(line.removeprefix("changed "))
        return facts_of(self.host.name, done)

    def _changed(self, what: str) -> None:
        self._changes.append(what)
        self.say(f"changed: {what}")

    def _as_ops(self, first: Connection, host_key: str) -> Connection:
        """Comes in as ops, with sudo: only then may root be shut out."""
        if first.endpoint.user == self.host.user:
            return first
        ops = Connection(self._endpoint(self.host.user, host_key))
        self.say(f"coming in as {self.host.user}")
        ops.run(["sudo", "-n", "true"], timeout_s=30).check(self.host.name, "sudo for ops")
        return ops

    def _converge(self, ops: Connection, facts: Mapping[str, str]) -> None:
        """Gives the host its base and its end of the tower, after the hangar knows of it."""
        known = replace(self.host, facts={**self.host.facts, **facts})
        inventory = replace(self.inventory, hosts={**self.inventory.hosts, self.host.name: known})
        for via in inventory.way_to(known):
            if "tower" in via.roles:
                self._roles(inventory, via, self.connections.to(via), ("tower",))
        self._roles(inventory, known, ops, FIRST_ROLES)

    def _roles(
        self, inventory: Inventory, host: Host, connection: Connection, roles: tuple[str, ...]
    ) -> None:
        named = ", ".join(role for role in host.roles if role in roles)
        self.say(f"roles of {host.name}: {named}")
        # What is said is of our host, so only another's name must be told.
        of = "" if host.name == self.host.name else f"{host.name}: "
        for change in step(connection, host, catalog(inventory, host, roles)):
            self._changed(f"{of}{change}")

    def _write(self, facts: Mapping[str, str]) -> None:
        before = dict(self.host.facts)
        at = before.pop("enrolled_at", "")
        # A key that is being changed goes on being so.
        facts = {**{k: v for k, v in before.items() if k.endswith("_next")}, **facts}
        if before == facts and at:
            return
        stamp = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        path = self.inventory.enrolled / f"{self.host.name}.yml"
        write_facts(path, {**facts, "enrolled_at": stamp})
        self._changed(str(path))

    def _reach(self) -> None:
        """Comes back over the way that is used from now on."""
        if not self.host.via:
            return
        inventory = load(self.inventory.path)
        self.say(f"calling back through {self.host.via}")
        for left in reversed(range(REACH_ATTEMPTS)):
            with self.connections.renewed(inventory) as connections:
                try:
                    connections.to(inventory.hosts[self.host.name]).open()
                    return
                except Offline as error:
                    if not left:
                        raise Offline(
                            f"{self.host.name}: enrolled, but not reached over the tower: "
                            f"{error.what}",
                            "check that its link to the hangar is up, then run the command again",
                        ) from None

    def _outcome(self) -> Outcome:
        count = len(self._changes)
        return Outcome(
            self.host.name,
            Exit.DONE,
            "no change" if not count else "changed" if self.host.enrolled else "enrolled",
            f"{count} change{'s' if count > 1 else ''}" if count else "was enrolled already",
            data={"changes": list(self._changes)},
        )


def facts_of(name: str, done: Completed) -> dict[str, str]:
    """Returns the public keys that a script told, in lines `fact NAME VALUE`.

    Raises:
        FleetError: one of them is none, with what was found.
    """
    lines = done.stdout.decode(errors="replace").splitlines()
    facts = {}
    for line in lines:
        if line.startswith("fact "):
            _, fact, value = f"{line} ".split(" ", 2)
            facts[fact] = value = value.strip()
            if fact not in FACTS or not re.fullmatch(FACTS[fact], value):
                raise FleetError(
                    f"{name}: expected its {fact.replace('_', ' ')}, found {value[:80]!r}"
                )
    return facts


def write_facts(path: Path, facts: Mapping[str, str]) -> None:
    """Writes what first contact learned, so that a power cut leaves the old file or the new one."""
    lines = ["# Written by fab init-machine: the host's public keys, in git with the inventory."]
    lines += [f"{name}: {facts[name]}" for name in FACTS if name in facts]
    disk.make_folder(path.parent)
    disk.write(path, ["\n".join(lines).encode() + b"\n"])
