"""Hosts that are not there: who is not called at all, and what becomes of those that do not answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fleet import configuration, envelope, heard
from fleet.connections import Connections
from fleet.context import contexts
from fleet.errors import Exit, FleetError
from fleet.inventory import Host, Inventory
from fleet.queue import Queue
from fleet.report import Outcome
from fleet.ssh import Connection
from fleet.status import ask
from require.run import operator_name


class Away:
    """What one command does about hosts that are away.

    Args:
        inventory: the fleet.
        rows: what the hangar knows of the target's aircraft, as `fleet.status.ask` tells it.
        named: hosts that ops named one by one; they are called whatever the heartbeats say.
        queue: where they wait; None queues nothing.
        why_not: said of each host where there is no queue.
    """

    def __init__(
        self,
        inventory: Inventory,
        rows: Sequence[Mapping[str, Any]],
        named: Collection[str],
        queue: Queue | None,
        why_not: str = "",
    ) -> None:
        self._variables = {name: each.vars for name, each in contexts(inventory).items()}
        self._aircraft = {host.name for host in inventory.in_group("aircraft")}
        self._waiting = _waiting(rows)
        self._queue, self._why_not = queue, why_not
        silent = self.put(heard.silent(rows, named))
        self._silent = {each.host: each for each in silent}

    def instead(self, host: str) -> Outcome | None:
        """Returns what is said of a host that is not worth calling; None for one that is."""
        return self._silent.get(host)

    def put(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Lets hosts that are off-line wait for their next heartbeats, and says which of them do."""
        can = [each for each in outcomes if each.host in self._aircraft]
        put = self._queue.put(can, self._variables) if self._queue and can else self._unqueued(can)
        ended = {each.host: self._with_older(each) for each in put}
        return [
            ended.get(each.host) or replace(each, data={**each.data, "queued": None})
            for each in outcomes
        ]

    def _unqueued(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        return [
            replace(
                each, detail=f"{each.detail}; {self._why_not}", data={**each.data, "queued": None}
            )
            for each in outcomes
        ]

    def _with_older(self, outcome: Outcome) -> Outcome:
        """Says what an earlier command let wait, where this one put nothing in its place."""
        older = self._waiting.get(outcome.host)
        if older is None or outcome.data["queued"]:
            return outcome
        said = f"what {older['operator']} queued still waits: {older['revision'][:7]}"
        return replace(outcome, detail=f"{outcome.detail}; {said}")

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Forgets what waited for hosts that are newer now: it would take them back.

        Raises:
            FleetError: the hangar did not; the hosts themselves are done.
        """
        done = [each.host for each in outcomes if each.code == Exit.DONE]
        had = {host: self._waiting[host]["digest"] for host in done if host in self._waiting}
        if had and self._queue is not None:
            self._queue.drop(had)


def _waiting(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What waits for whom, of what the hangar knows of its aircraft."""
    return {str(row["host"]): row["wanted"] for row in rows if row.get("wanted")}


def queue_at(hangar: Connection, inventory: Inventory) -> Queue:
    """Returns the hangar's queue, in the name of whoever we are."""
    operator = operator_name()

    def sealed() -> configuration.Configuration:
        key = envelope.key_in(inventory.keys)
        return configuration.seal(configuration.build(inventory), key, inventory.fleet, operator)

    return Queue(hangar, sealed, operator)


def unqueue(
    rows: Sequence[Mapping[str, Any]], hosts: Sequence[Host], queue: Queue
) -> list[Outcome]:
    """Forgets what waits for hosts, because ops changed their mind; what runs already goes on.

    Args:
        rows: what the hangar knows of its aircraft, as `fleet.status.ask` tells it.
        hosts: the target's.
        queue: the hangar's.

    Raises:
        FleetError: the hangar did not.
    """
    waiting = _waiting(rows)
    had = {host.name: waiting[host.name] for host in hosts if host.name in waiting}
    if had:
        queue.drop({name: one["digest"] for name, one in had.items()})
    return [
        Outcome(
            host.name,
            status="unqueued" if host.name in had else "no change",
            detail=f"{had[host.name]['revision'][:7]} by {had[host.name]['operator']} waits no more"
            if host.name in had
            else "nothing waits for it",
        )
        for host in hosts
    ]


def away(
    inventory: Inventory,
    hosts: Sequence[Host],
    connections: Connections,
    target: str,
    limit: str = "",
    why_not: str = "",
) -> Away | None:
    """Returns what to do about hosts that are away; None where the hangar cannot know of any.

    A hangar that does not answer, or has no app yet, knows nothing: then every host is called.

    Args:
        inventory: the fleet.
        hosts: the target's.
        connections: the ways there.
        target, limit: as they were typed.
        why_not: why nothing may be queued; empty: it may.
    """
    hangars = [host for host in inventory.in_group("hangar") if host.enrolled]
    meant = {host.name for host in hosts if "aircraft" in host.groups and host.enrolled}
    if not hangars or not meant:
        return None
    connection = connections.to(hangars[0])
    try:
        rows = [row for row in ask(connection) if row["host"] in meant]
    except FleetError:
        rows = []
    queue = queue_at(connection, inventory)
    named = heard.named(inventory, f"{target},{limit}")
    return Away(inventory, rows, named, None if why_not else queue, why_not)
