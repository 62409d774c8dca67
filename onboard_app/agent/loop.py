"""The agent's service: a heartbeat every few seconds, acknowledgements taken, what is due started."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from onboard_app.agent.hangar import Reply, Unheard
from onboard_app.agent.pace import Hold, wait_s
from sync.overtake import ROWS_EVERY_S

FIRST_INTERVAL_S = 5.0
SIGN_EVERY_S = 30.0
# Of what may be due, all but content.
ROWS = ("up", "cat", "usr")

log = logging.getLogger(__name__)


class Beats(Protocol):
    """Where heartbeats go."""

    def beat(self, body: Mapping[str, Any]) -> Reply:
        """Sends one; raises `Unheard`."""


class Syncs(Protocol):
    """What starts synchronisations."""

    @property
    def running(self) -> bool:
        """Whether one is under way."""

    def start(self) -> bool:
        """Starts one unless one is under way."""


class Agent:
    """The loop. Everything outside of it is handed in.

    Args:
        hangar: where heartbeats go.
        body: makes a heartbeat; told whether a synchronisation is under way.
        accept: takes the hangar's acknowledgements; may raise.
        answer: takes what the hangar lacks, by table and since when; may raise.
        rows: told which rows became due while a synchronisation runs, or that none are; may raise.
        heal: takes the streams as the heartbeat told them, those that the hangar wants anew, and how far it
            has what is left of former histories; may raise.
        syncs: starts synchronisations.
        hurry: told what the hangar offers that is more urgent; may raise.
        clock: seconds, monotonic.
        chance: evenly spread from 0 to 1.
    """

    def __init__(
        self,
        hangar: Beats,
        body: Callable[[], Mapping[str, Any]],
        accept: Callable[[Mapping[str, Any]], object],
        syncs: Syncs,
        hurry: Callable[[Mapping[str, Any]], object],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        answer: Callable[[Mapping[str, Any]], object] = lambda needs: None,
        heal: Callable[..., object] = lambda said, wants, former: None,
        rows: Callable[[Sequence[str]], object] = lambda due: None,
    ) -> None:
        self._hangar, self._body, self._accept, self._syncs = hangar, body, accept, syncs
        self._hurry, self._heal, self._rows = hurry, heal, rows
        self._clock, self._chance, self._answer = clock, chance, answer
        self._interval_s = FIRST_INTERVAL_S
        self._failures = 0
        self._acks: Mapping[str, Any] = {}
        self._due: list[str] = []
        self._hold = self._rows_hold = Hold()

    def turn(self) -> float:
        """Does one heartbeat with all that follows; returns the seconds until the next."""
        body = {**self._body(), "heard": self._due}
        try:
            reply = self._hangar.beat(body)
        except Unheard as error:
            self._failures += 1
            # Once per silence: aloft this happens for hours.
            if self._failures == 1:
                log.info("no hangar: %s", error)
        else:
            if self._failures:
                log.info("the hangar answers")
            self._failures = 0
            self._due = reply.due
            self._interval_s = reply.interval_s
            self._heard(reply, body)
        return wait_s(self._interval_s, self._failures, self._chance())

    def _heard(self, reply: Reply, body: Mapping[str, Any]) -> None:
        acks = {stream: ack.model_dump() for stream, ack in reply.acks.items()}
        # They come with every reply; only new ones are worth a transaction.
        if acks != self._acks:
            try:
                self._accept(acks)
                self._acks = acks
            except Exception as error:  # a database that is away comes back, and so do the acks
                log.error("could not take the hangar's acknowledgements: %s", error)
        if reply.needs:
            try:
                self._answer(reply.needs)
            except Exception as error:  # it asks until it is told that the rows are recorded
                log.error("could not record what the hangar lacks: %s", error)
        if reply.wants or reply.former:
            former = reply.model_dump(include={"former"})["former"]
            try:
                self._heal(body.get("up", {}), list(reply.wants), former)
            except Exception as error:  # it says so with every reply
                log.error("could not begin anew what the hangar wants: %s", error)
        if reply.urgent:
            try:
                self._hurry(reply.urgent.model_dump(mode="json"))
            except OSError as error:
                log.error("could not ask the synchronisation to make way: %s", error)
        while_syncing = body.get("syncing") is True
        if while_syncing:
            self._pass_on([name for name in reply.due if name in ROWS])
        else:
            self._rows_hold = Hold()
        now, self._hold = self._clock(), self._hold.heard(reply.due)
        free = self._hold.over(now) and not self._syncs.running
        # What was due while one ran may be done by now: the beat that follows its end says.
        if reply.due and free and not while_syncing and self._syncs.start():
            log.info("synchronising, due: %s", ", ".join(reply.due))
            self._hold = self._hold.started(now, self._interval_s)

    def _pass_on(self, due: Sequence[str]) -> None:
        """Tell the synchronisation that runs of rows: it may fetch content for hours."""
        now, self._rows_hold = self._clock(), self._rows_hold.heard(due)
        if due and not self._rows_hold.over(now):
            return
        try:
            self._rows(due)
        except OSError as error:
            log.error("could not ask the synchronisation to exchange rows: %s", error)
        if due:
            # What stays due is what it could not do, or becomes due all the time.
            self._rows_hold = self._rows_hold.started(now, ROWS_EVERY_S)

    def run(
        self, wake: threading.Event, stop: threading.Event, alive: Callable[[], object]
    ) -> None:
        """Beats until `stop`; `wake` makes the next one come at once.

        `alive` is called between beats, at least each `SIGN_EVERY_S` seconds: a hangar may ask for
        long intervals.
        """
        while not stop.is_set():
            until = self._clock() + self.turn()
            alive()
            while (left := until - self._clock()) > 0 and not wake.wait(min(left, SIGN_EVERY_S)):
                alive()
            wake.clear()
