"""One converge of one host: a trip to look, a plan, and a trip to apply and look again.

A host that is as declared costs one trip. One that is not costs two, however many resources differ.
A third is made only when applying changed something that had been as declared, for instance when a
package starts a service that is declared stopped. When the link breaks while the host applies, the
host is called again, and says what became of that very run.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from require import program
from require.catalog import Catalog
from require.errors import (
    CommandFailed,
    DeadlinePassed,
    LinkLost,
    ProtocolError,
    TransportError,
    Unreachable,
)
from require.ledger import Ledger, says
from require.planning import Planned, apply_request, declares, plan, questions
from require.remote.wire import Reader
from require.resource import NoChange
from require.result import Event, LastRun, Progress, Result
from require.transport import CountingTransport, Transport

STATE_DIR = "/var/lib/turnaround"
LOOK_S = 90.0
LOCK_S = 3600
REACH_S = 120.0
"""How long a host is called again after the link to it broke while it applied."""
BEGIN_S = 5.0
_PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0)


def new_run_id() -> str:
    """Return an id for a run: UTC time and four random bytes, usable as a unit's name."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.urandom(4).hex()}"


def operator_name() -> str:
    """Return who we are, for the lock and the journal: "user@machine"."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def converge(
    transport: Transport,
    catalog: Catalog,
    check: bool = False,
    *,
    host: str = "",
    progress: Progress | None = None,
    operator: str = "",
    state_dir: str = STATE_DIR,
    run_id: Callable[[], str] = new_run_id,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Make a host what its catalog says, or with `check` tell what that would change.

    Args:
        transport: reaches the host as root, or as someone who may `sudo -n`.
        catalog: what `require.declare` collected.
        check: look only.
        host: name for people; "" is the transport's.
        progress: called with each `Event`.
        operator: who asks; "" is "user@machine".
        state_dir: absolute path on the host of journal, lock and markers.
        run_id: makes a new run id; one id is never applied twice.
        clock: seconds that only go forward.
        sleep: waits for seconds.

    Returns:
        The result; faults of single resources are in its `errors`. When the link breaks while the
        host applies and it cannot be reached again within `REACH_S`, that is `link_lost`: the host
        goes on, and `require.resume` collects how it ended.

    Raises:
        DeclarationError: the catalog has a circle or a need that is not declared.
        TransportError: the host could not be looked at, or not be reached again to apply; nothing
            was touched.

    Example:
        >>> result = converge(LocalTransport(), catalog, check=True)
        >>> result.differs, result.trips
        (False, 1)
    """
    session = Session(transport, catalog, host, progress, operator, state_dir, run_id, clock, sleep)
    reply = session.look()
    session.go(reply["answers"], reply["pending"], reply["lock"], check)
    return session.result(check)


class Session:
    """The state of one converge, or of what else is done with a host's runs.

    Args: as for `converge`.
    """

    def __init__(
        self,
        transport: Transport,
        catalog: Catalog,
        host: str = "",
        progress: Progress | None = None,
        operator: str = "",
        state_dir: str = STATE_DIR,
        run_id: Callable[[], str] = new_run_id,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.transport = CountingTransport(transport)
        self.host = host or transport.host
        self.progress = progress or (lambda event: None)
        self.operator = operator or operator_name()
        self.state_dir, self.run_id, self.clock, self.sleep = state_dir, run_id, clock, sleep
        self.began = clock()
        self.last_run: LastRun | None = None
        self.run = ""
        self.link_lost = False
        self.declare(catalog)

    def declare(self, catalog: Catalog) -> None:
        """Begin with what a catalog declares."""
        self.catalog = catalog
        self.resources = catalog.ordered()
        self.nouns = {each.noun for each in self.resources}
        self.ledger = Ledger(catalog)

    def look(self, mode: str = "look") -> Mapping[str, Any]:
        """Make the first trip: everything is looked at.

        Args:
            mode: see `program.look_payload`.
        """
        self._tell("probe", 0, len(self.resources))
        reply = self._call(self._question(mode), LOOK_S + 30)
        if reply["last_run"] is not None:
            last = reply["last_run"]
            self.last_run = LastRun(**(last | {"failed": tuple(last["failed"])}))
        return reply

    def collect(self, run: str, begin_s: float = 0) -> Mapping[str, Any]:
        """Ask what became of a run, and look at everything once it has ended.

        Args:
            run: its id; "" is the newest.
            begin_s: seconds that it may still take to begin.
        """
        question = self._question("collect", run=run, begin_s=begin_s)
        return self._call(question, LOCK_S + LOOK_S + 60)

    def _question(self, mode: str, **more: Any) -> bytes:
        asked = questions(self.resources)
        request = {"state_dir": self.state_dir, "total_s": LOOK_S, "resources": asked, **more}
        return program.look_payload(self.nouns, request, mode)

    def go(
        self,
        answers: Sequence[Mapping[str, Any]],
        waiting: Sequence[str],
        lock: Mapping[str, Any] | None,
        check: bool,
    ) -> None:
        """Plan from what was seen, and apply.

        Args:
            answers: one per resource.
            waiting: keys of the handlers that an earlier run left.
            lock: who changes the host, or None.
            check: apply nothing.
        """
        planned = plan(self.resources, answers)
        for each in planned:
            self.ledger.planned(each)
        steps = frozenset(each.resource.key for each in planned if each.step)
        self._tell("plan", len(steps), len(planned))
        if check:
            self.ledger.would_handle(planned, waiting)
        elif (steps or waiting) and lock is not None:
            self.ledger.lock_of(lock)
        elif steps or waiting:
            self._apply(planned, steps)
        self._tell("done", len(planned), len(planned))

    def _apply(
        self, planned: Sequence[Planned], steps: frozenset[str], again: bool = False
    ) -> None:
        # Handlers alone are the end of the run that left them: undone, both are one.
        left = self.last_run.run if self.last_run and not steps else ""
        mends, self.run = self.run or left, self.run_id()
        request = apply_request(self.catalog, planned, steps) | {
            "run": self.run,
            "mends": mends,
            "declares": declares(self.resources),
            "operator": self.operator,
            "state_dir": self.state_dir,
            "expires_s": LOCK_S,
            "total_s": LOOK_S,
            # Of all resources: what is as declared may be quoted by what is not.
            "secrets": self.ledger.secrets,
        }
        try:
            reply = self._call(program.apply_payload(self.nouns, request), LOCK_S + 60)
        except Unreachable as error:
            if not again:
                raise  # nothing ran, so this is a host that is off-line
            self.ledger.errors.append(
                f"applying disturbed what had been as declared ({', '.join(sorted(steps))}), and "
                f"mending it could not begin: {error.reason}; converge again"
            )
        except LinkLost as error:
            self._after_loss(steps, error.reason, again)
        except (DeadlinePassed, ProtocolError, CommandFailed) as error:
            self.link_lost = True
            self._lost(steps, error.reason)
        else:
            if "locked" in reply:
                self.ledger.lock_of(reply["locked"])
            elif "unbegun" in reply:
                self.ledger.unseen(steps, "the run did not begin")
                said = self.ledger.mask(reply["unbegun"])
                self.ledger.errors.append(f"nothing was changed: {said}")
            elif "died" in reply:
                self._lost(steps, self.ledger.mask(reply["died"]))
            else:
                self.ended(reply, reply["answers"], again)

    def _after_loss(self, steps: frozenset[str], reason: str, again: bool) -> None:
        """Call the host again, and go on from what it says of this run."""
        reply = self.reach(self.run)
        if reply is None:
            self.link_lost = True
            self._lost(steps, reason)
        elif reply["collected"] is None:
            self.ledger.unseen(steps, "the run had not begun")
            self.ledger.errors.append(
                f"the link broke before the run {self.run} had begun on the host, so nothing was "
                "applied: converge again"
            )
        elif not reply["collected"]["finished"]:
            self.cut_short(reply["collected"])
        else:
            self.ended(reply["collected"], reply["answers"], again)

    def reach(self, run: str) -> Mapping[str, Any] | None:
        """Call a host whose link broke again, and collect a run.

        Returns:
            As `collect`; None when it cannot be reached for `REACH_S`.
        """
        end = self.clock() + LOCK_S
        lost, tries = self.clock(), 0
        while True:
            self._tell("reconnect", 0, 0)
            self.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            try:
                return self.collect(run, BEGIN_S)
            except LinkLost:
                lost = self.clock()  # it was there, and the run goes on
            except TransportError:
                pass  # as the link is down: told when the time is over
            tries += 1
            if self.clock() > min(lost + REACH_S, end):
                return None

    def ended(
        self,
        reply: Mapping[str, Any],
        answers: Sequence[Mapping[str, Any]] | None,
        again: bool = False,
    ) -> None:
        """Note how a run ended, and compare what is there now.

        Args:
            reply: "results" and "handlers" by key; "steps" when it comes from the journal.
            answers: one per resource; None when these are not what the run was about.
            again: what was disturbed gets no further trip.
        """
        self.ledger.applied(reply)
        unnoted = [key for key in reply.get("steps", ()) if key not in reply["results"]]
        self.ledger.unseen(unnoted, "its end could not be noted on the host")
        self.ledger.errors += [f"{key}: its end could not be noted on the host" for key in unnoted]
        if answers is not None:
            self._verify(plan(self.resources, answers), reply["results"], again)

    def _verify(self, planned: Sequence[Planned], results: Mapping[str, Any], again: bool) -> None:
        """Compare what is there now; what an applied step disturbed gets one more trip.

        After that one whatever still differs is an error, or two that undo each other would both
        pass for changed.
        """
        disturbed = []
        for each in planned:
            key = each.resource.key
            status = self.ledger.outcomes[key].status
            if isinstance(each.plan, NoChange) or status not in ("ok", "changed"):
                continue
            if key in results:
                self.ledger.set(key, "failed", f"it was applied, and still: {says(each)}")
            elif each.step and not again:
                disturbed.append(each)
                self.ledger.planned(each)
            elif again and each.blocked:
                self.ledger.planned(each)  # for all that is known, it was so from the beginning
            else:
                was = "as declared" if status == "ok" else "applied"
                self.ledger.set(key, "failed", f"it was {was}, and now: {says(each)}")
        if disturbed:
            self._apply(planned, frozenset(each.resource.key for each in disturbed), again=True)

    def cut_short(self, told: Mapping[str, Any]) -> None:
        """Note how far a run came that never came to its end."""
        self.ledger.applied(told)
        unended = [key for key in told["steps"] if key not in told["results"]]
        self.ledger.unseen(unended, "the run was cut short before its end was noted")
        at = f", at {told['now']}" if told["now"] else ""
        self.ledger.errors.append(
            f"the run {told['run']} was cut short on the host{at}: converge again to finish"
        )

    def _lost(self, steps: frozenset[str], reason: str) -> None:
        self.ledger.unseen(steps, "the run's end was not seen")
        self.ledger.errors.append(
            f"the end of run {self.run} was not seen: {reason}. What it began goes on or has ended "
            "on the host; resume that run to see, or converge again to see and to finish"
        )

    def _call(self, payload: bytes, timeout_s: float) -> Mapping[str, Any]:
        reader = Reader()
        results: list[Any] = []

        def read(piece: bytes) -> None:
            try:
                for kind, value in reader.feed(piece):
                    if kind == b"R":
                        results.append(value)
                    else:
                        self._progress(value)
            except ValueError as error:
                raise ProtocolError(self.host, str(error)) from error

        self.transport.call(program.COMMAND, payload, timeout_s=timeout_s, on_output=read)
        if not results:
            raise ProtocolError(self.host, "the answer ended before its result")
        reply: Mapping[str, Any] = results[-1]
        return reply

    def _progress(self, value: Mapping[str, Any]) -> None:
        self._tell(
            value["stage"],
            value.get("done", 0),
            value.get("total", 0),
            value.get("key", ""),
            value.get("status", ""),
        )

    def _tell(self, stage: str, done: int, total: int, key: str = "", status: str = "") -> None:
        self.progress(Event(self.host, stage, done, total, key, status, self.run))

    def result(self, check: bool) -> Result:
        """Return what came of it."""
        self.ledger.close()
        return Result(
            host=self.host,
            check=check,
            outcomes=tuple(self.ledger.outcomes.values()),
            handlers=tuple(self.ledger.handlers.values()),
            errors=tuple(self.ledger.errors),
            notes=tuple(self.ledger.notes),
            run=self.run,
            last_run=self.last_run,
            held=self.ledger.held,
            link_lost=self.link_lost,
            trips=self.transport.trips,
            bytes_sent=self.transport.bytes_sent,
            bytes_received=self.transport.bytes_received,
            seconds=self.clock() - self.began,
        )
