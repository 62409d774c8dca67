"""What every command begins and ends with: the inventory, its target, the connections, the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from invoke.exceptions import Exit as InvokeExit

from fleet.connections import Connections
from fleet.context import role_names
from fleet.inventory import Host, Inventory, find, load
from fleet.report import Outcome, Reporter, exit_code, reporter
from fleet.runlog import Logged, RunLog
from fleet.slots import SLOTS, on_each
from fleet.ssh import Connection
from fleet.target import select


@dataclass(frozen=True)
class Session:
    """A fleet, the hosts that were meant, and the ways to them."""

    inventory: Inventory
    hosts: tuple[Host, ...]
    connections: Connections

    def reporter(self, command: str, as_json: bool, *, whole: bool = False) -> Reporter:
        """Returns what shows how a command goes and keeps a log of it.

        Args:
            command: its name, such as `deploy-hangar`, for the log's folder.
            as_json: one JSON object per host.
            whole: show what every host has to say, however many there are.
        """
        log = RunLog(self.inventory.logs, command, self.inventory.fleet)
        shown = reporter(as_json, log=lambda: log.place, whole=whole)
        return Logged(shown, log)

    def each(
        self,
        work: Callable[[Connection, Host, Callable[[str], None]], Outcome],
        reporter: Reporter,
        slots: int = SLOTS,
        hosts: Sequence[Host] | None = None,
    ) -> list[Outcome]:
        """Does something over the way to each host, which is hung up on when it is done.

        Args:
            work: gets the way, the host, and a function that says what it is doing now.
            reporter: is told how it goes; closed at the end.
            slots: how many hosts at once.
            hosts: which; those that were meant unless said.

        Raises:
            As `fleet.slots.on_each`.
        """
        ways = self.connections
        return on_each(
            self.hosts if hosts is None else hosts,
            lambda host, say: work(ways.to(host), host, say),
            reporter,
            slots,
            after=ways.hang_up,
        )


@contextmanager
def session(inventory: str, target: str, limit: str = "") -> Iterator[Session]:
    """Opens a fleet for one command and closes every connection at its end.

    Args:
        inventory: the flag's value; empty looks where commands look.
        target: which hosts.
        limit: which of those; empty is all of them.

    Raises:
        UsageError: the inventory, the target or the key of ops is wrong; nothing was touched.

    >>> with session("", "all") as fleet:  # doctest: +SKIP
    ...     fleet.connections.to(fleet.hosts[0]).run(["true"], timeout_s=10)
    """
    known = fleet_of(inventory)
    hosts = select(known, target, limit)
    with Connections(known) as connections:
        yield Session(known, hosts, connections)


def fleet_of(inventory: str) -> Inventory:
    """Returns the inventory that a command works with; roles must exist."""
    return load(find(inventory or None), roles=role_names())


def finish(outcomes: Iterable[Outcome]) -> None:
    """Ends the command with the outcomes' exit code.

    Raises:
        invoke.exceptions.Exit: when the code is not 0.
    """
    code = exit_code(outcomes)
    if code:
        raise InvokeExit(code=int(code))
