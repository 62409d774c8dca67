"""What waits at the hangar for aircraft out of reach: put there by ops, applied at a heartbeat."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fleet.configuration import Configuration
from fleet.errors import FleetError, Offline, RemoteFailed
from fleet.report import Outcome
from fleet.ssh import GATEWAY_REST_S, Connection
from fleet.variables import Vars

COMMAND = ["sudo", "-n", "-u", "turnaround", "/opt/turnaround/bin/wanting"]
ORDER_S = 120.0
ALLOWED = "converge_by_hangar"
LATER = "run the command again when it is on the ground"


class Queue:
    """The hangar's queue, for one command.

    Args:
        hangar: the connection to it.
        configuration: makes what is to wait; called once, when the first host needs it.
        operator: who asks.
        clock: seconds that only grow.

    Example:
        >>> Queue(connection, lambda: build(inventory), "ops@desk").put([outcome], vars)  # doctest: +SKIP
        [Outcome(host='EC-TAB', status='off-line', detail='…; queued: 4bb5594 …', …)]
    """

    def __init__(
        self,
        hangar: Connection,
        configuration: Callable[[], Configuration],
        operator: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hangar, self._make, self._operator = hangar, configuration, operator
        self._clock = clock
        self._silent: tuple[float, Offline] | None = None
        self._lock = threading.Lock()
        self._made: Configuration | FleetError | None = None
        self._sent = False

    def put(self, outcomes: Sequence[Outcome], variables: Mapping[str, Vars]) -> list[Outcome]:
        """Lets hosts that are off-line be made what they should be when they are heard again.

        Args:
            outcomes: each says that its host is off-line.
            variables: of each of those hosts; `converge_by_hangar` must allow it.

        Returns:
            The outcomes, each with what waits for its host, or why nothing does.
        """
        allowed = [each.host for each in outcomes if variables[each.host].flag(ALLOWED, False)]
        revision, error = "", None
        try:
            with self._lock:
                if allowed:
                    revision, allowed = self._want(allowed)
        except FleetError as fault:
            error = fault
        ended = []
        for each in outcomes:
            if not variables[each.host].flag(ALLOWED, False):
                reason = f"the inventory does not say {ALLOWED}: true for it"
                ended.append(_not_queued(each, reason, LATER))
            elif error is not None:
                ended.append(_not_queued(each, error.what, error.remedy))
            elif each.host not in allowed:
                reason = f"{self._hangar.name} does not know it yet"
                ended.append(_not_queued(each, reason, self._newer))
            else:
                ended.append(_queued(each, revision))
        return ended

    @property
    def _newer(self) -> str:
        name = self._hangar.name
        return f"fab converge --target {name} and fab deploy-hangar --target {name}"

    def drop(self, had: Mapping[str, str]) -> None:
        """Forgets what waits for hosts, because they are newer now.

        Args:
            had: by name, the digest of what waited for it; what came since stays.

        Raises:
            FleetError: the hangar did not.
        """
        self._order({"drop": dict(sorted(had.items()))})

    def _configuration(self) -> Configuration:
        """The one configuration of this command; what kept it from being made keeps it for all."""
        if self._made is None:
            try:
                self._made = self._make()
            except FleetError as error:
                self._made = error
        if isinstance(self._made, FleetError):
            raise self._made
        return self._made

    def _want(self, hosts: Collection[str]) -> tuple[str, list[str]]:
        """Returns the revision that waits now, and for whom; the archive is sent once, as long as the
        hangar keeps it: what nobody waits for any more is removed there."""
        wanted = self._configuration()
        words = {"want": sorted(hosts), "revision": wanted.revision, "digest": wanted.digest}
        said = self._order({**words, "size": 0}) if self._sent else {}
        if not said.get("queued"):
            said = self._order({**words, "size": len(wanted.archive)}, wanted.archive)
        self._sent = True
        return wanted.revision, list(said.get("queued", ()))

    def _order(self, words: Mapping[str, Any], archive: bytes = b"") -> dict[str, Any]:
        # Each host's slot waits here for the hangar, one after the other.
        if self._silent and self._clock() - self._silent[0] < GATEWAY_REST_S:
            raise self._silent[1]
        line = json.dumps({"operator": self._operator, **words}).encode() + b"\n"
        try:
            done = self._hangar.run(COMMAND, line + archive, timeout_s=ORDER_S)
        except Offline as error:
            self._silent = (self._clock(), error)
            raise
        try:
            done.check(self._hangar.name, "wanting")
        except RemoteFailed as error:
            raise FleetError(error.what, self._newer) from None
        try:
            said: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise FleetError(
                f"{self._hangar.name}: expected wanting to say what waits, found {done.stdout[:200]!r}",
                self._newer,
            ) from None
        return said


def _queued(outcome: Outcome, revision: str) -> Outcome:
    detail = f"{outcome.detail}; queued: {revision[:7]} is applied at its next heartbeat"
    return replace(outcome, detail=detail, remedy="", data={**outcome.data, "queued": revision})


def _not_queued(outcome: Outcome, reason: str, remedy: str) -> Outcome:
    return replace(
        outcome,
        detail=f"{outcome.detail}; nothing is queued: {reason}",
        remedy=remedy,
        data={**outcome.data, "queued": None},
    )
