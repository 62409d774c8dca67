"""`fab retire`: an aircraft's box is out of the fleet, whether it is broken, sold or stolen.

Nothing is asked of the box: it may be in other hands. First the inventory says so, so that whatever runs
from now on leaves it out; then the hangar forgets its keys, its place in the tower and what was offered to
it (`sync.hangar.forget`). What it sent stays: it is the company's data, and its past. Cut anywhere, the same
command goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleet.aboard import disk
from fleet.connections import Connections
from fleet.context import catalog
from fleet.converge import step
from fleet.enrol import write_facts
from fleet.errors import Exit, FleetError, Offline, UsageError
from fleet.inventory import Host, Inventory, load
from fleet.report import Outcome
from fleet.status import hangar_of
from fleet.sync import GROUP as AIRCRAFT

ROLES = ("tower", "hangar")


@dataclass
class Retirement:
    """One box taken out of service.

    Args:
        inventory: the fleet.
        host: whose box.
        connections: the fleet's, to tell the hangar.
        say: is told each step.
        now: the time, for `retired_at`.
    """

    inventory: Inventory
    host: Host
    connections: Connections
    say: Callable[[str], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _changes: list[str] = field(default_factory=list)

    def run(self) -> Outcome:
        """Revokes all that the box could use, or finds that it is revoked.

        Raises:
            UsageError: the host is no aircraft; nothing was touched.
            FleetError: the hangar could not do it; a second run goes on from there.
        """
        if AIRCRAFT not in self.host.groups:
            raise UsageError(
                f"only aircraft retire, and {self.host.name} is none",
                "a hangar is rebuilt from its backup, in its own place",
            )
        self._note()
        hangar = hangar_of(self.inventory)
        if hangar.enrolled:
            try:
                self._forget(hangar)
            except Offline as error:
                raise Offline(
                    f"{self.host.name}: retired in the inventory, but {error.what}",
                    "until the hangar is told, it lets the box in: run the command again",
                ) from None
        count = len(self._changes)
        return Outcome(
            self.host.name,
            Exit.DONE,
            "retired" if count else "no change",
            f"{count} change{'s' if count > 1 else ''}" if count else "was retired already",
            lines=tuple(self._left_to_people()),
            data={"changes": list(self._changes)},
        )

    def _note(self) -> None:
        """Says in the inventory that it is retired, so that a power cut leaves a host of either kind."""
        folder, name = self.inventory.enrolled, f"{self.host.name}.yml"
        if not self.host.retired:
            at = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            write_facts(folder / "retired" / name, {**self.host.facts, "retired_at": at})
            (folder / name).unlink(missing_ok=True)
            disk.sync_folder(folder)
            self._changed(f"{folder}/retired/{name}")
        self.inventory = load(self.inventory.path)

    def _forget(self, hangar: Host) -> None:
        self.say(f"roles of {hangar.name}: {', '.join(ROLES)}")
        only = tuple(role for role in hangar.roles if role in ROLES)
        declared = catalog(self.inventory, hangar, only)
        for change in step(self.connections.to(hangar), hangar, declared):
            self._changed(f"{hangar.name}: {change}")

    def _changed(self, what: str) -> None:
        self._changes.append(what)
        self.say(f"changed: {what}")

    def _left_to_people(self) -> list[str]:
        """What no command can take back: what the box knows, and what people wrote of it."""
        secrets, name = self.inventory.secrets, self.host.name
        lines = [
            f"whoever has the box has the secret {secret} ({origin.level}): give it a new value"
            for secret, origin in self.inventory.hosts[name].secrets.items()
        ]
        if name in secrets.recipients:
            lines.append(f"take {name} out of {secrets.recipients_path}, then: inv secrets.rekey")
        return lines


def retire(
    inventory: Inventory, name: str, connections: Connections, say: Callable[[str], None]
) -> Outcome:
    """Retires the host of that name and returns how it ended.

    Raises:
        UsageError: there is no such host, or it is no aircraft; nothing was touched.
    """
    host = inventory.hosts.get(name)
    if host is None:
        raise UsageError(
            f"--target: expected one host, found {name!r}",
            f"one box at a time, by its name; hosts: {', '.join(inventory.hosts)}",
        )
    try:
        return Retirement(inventory, host, connections, say).run()
    except UsageError:
        raise
    except FleetError as error:
        return Outcome.of(name, error)
