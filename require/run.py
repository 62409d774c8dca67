"""One converge of one host: a trip to look, a plan, and a trip to apply and look again.

A host that is as declared costs one trip. One that is not costs two, however many resources differ.
A third is made only when applying changed something that had been as declared, for instance when a
package starts a service that is declared stopped.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from require import program
from require.catalog import Catalog
from require.errors import CommandFailed, DeadlinePassed, LinkLost, ProtocolError, Unreachable
from require.planning import Planned, apply_request, plan, questions
from require.remote.wire import Reader
from require.resource import Change, NoChange, Unknown
from require.result import Event, LastRun, Outcome, Progress, Result, Status
from require.secret import Secret, mask
from require.transport import CountingTransport, Transport

STATE_DIR = "/var/lib/turnaround"
LOOK_S = 90.0
LOCK_S = 3600


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

    Returns:
        The result; faults of single resources are in its `errors`. A link that breaks while the
        host applies is `link_lost`: the host goes on, and the next converge sees how it ended.

    Raises:
        DeclarationError: the catalog has a circle or a need that is not declared.
        TransportError: the host could not be looked at, or not be reached again to apply; nothing
            was touched.

    Example:
        >>> result = converge(LocalTransport(), catalog, check=True)
        >>> result.differs, result.trips
        (False, 1)
    """
    session = _Session(
        CountingTransport(transport),
        catalog,
        host or transport.host,
        progress or (lambda event: None),
        operator or operator_name(),
        state_dir,
        run_id,
        clock,
    )
    return session.converge(check)


class _Session:
    """The state of one converge."""

    def __init__(
        self,
        transport: CountingTransport,
        catalog: Catalog,
        host: str,
        progress: Progress,
        operator: str,
        state_dir: str,
        run_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self.transport, self.catalog, self.host = transport, catalog, host
        self.progress, self.operator, self.state_dir = progress, operator, state_dir
        self.run_id, self.clock = run_id, clock
        self.began = clock()
        self.resources = catalog.ordered()
        self.nouns = {each.noun for each in self.resources}
        self.secrets = list(_secrets(catalog))
        self.outcomes: dict[str, Outcome] = {}
        self.handlers: dict[str, Outcome] = {}
        self.errors: list[str] = []
        self.last_run: LastRun | None = None
        self.run = ""
        self.link_lost = False

    def converge(self, check: bool) -> Result:
        reply = self._look()
        planned = plan(self.resources, reply["answers"])
        waiting: list[str] = reply["pending"]
        for each in planned:
            self._note(each)
        steps = frozenset(each.resource.key for each in planned if each.step)
        self._tell("plan", len(steps), len(planned))
        if check:
            self._note_handlers(planned, waiting)
        elif (steps or waiting) and reply["lock"] is not None:
            self.errors.append(self._held(reply["lock"]))
        elif steps or waiting:
            self._apply(planned, steps)
        self._tell("done", len(planned), len(planned))
        return self._result(check)

    def _look(self) -> Mapping[str, Any]:
        self._tell("probe", 0, len(self.resources))
        request = {
            "state_dir": self.state_dir,
            "total_s": LOOK_S,
            "resources": questions(self.resources),
        }
        reply = self._call(program.look_payload(self.nouns, request), LOOK_S + 30)
        if reply["last_run"] is not None:
            last = reply["last_run"]
            self.last_run = LastRun(**(last | {"failed": tuple(last["failed"])}))
        return reply

    def _apply(
        self, planned: Sequence[Planned], steps: frozenset[str], again: bool = False
    ) -> None:
        self.run = self.run_id()
        request = apply_request(self.catalog, planned, steps) | {
            "run": self.run,
            "operator": self.operator,
            "state_dir": self.state_dir,
            "expires_s": LOCK_S,
            "total_s": LOOK_S,
            # Of all resources: what is as declared may be quoted by what is not.
            "secrets": self.secrets,
        }
        try:
            reply = self._call(program.apply_payload(self.nouns, request), LOCK_S + 60)
        except Unreachable as error:
            if not again:
                raise  # nothing ran, so this is a host that is off-line
            self.errors.append(
                f"applying disturbed what had been as declared ({', '.join(sorted(steps))}), and "
                f"mending it could not begin: {error.reason}; converge again"
            )
            return
        except (LinkLost, DeadlinePassed, ProtocolError, CommandFailed) as error:
            self.link_lost = True
            self._lost(steps, error.reason)
            return
        if "locked" in reply:
            self.errors.append(self._held(reply["locked"]))
            return
        if "died" in reply:
            self._lost(steps, self._mask(reply["died"]))
            return
        for key, result in reply["results"].items():
            self._set(key, result["status"], reason=self._mask(result.get("reason", "")))
        for key, ran in reply["handlers"].items():
            reason = self._mask(ran.get("reason", ""))
            self.handlers[key] = Outcome(key, ran["status"], reason=reason)
        self._verify(plan(self.resources, reply["answers"]), reply["results"], again)

    def _verify(self, planned: Sequence[Planned], results: Mapping[str, Any], again: bool) -> None:
        """Compare what is there now; what an applied step disturbed gets one more trip.

        After that one whatever still differs is an error, or two that undo each other would both
        pass for changed.
        """
        disturbed = []
        for each in planned:
            key = each.resource.key
            status = self.outcomes[key].status
            if isinstance(each.plan, NoChange) or status not in ("ok", "changed"):
                continue
            if key in results:
                self._set(key, "failed", reason=f"it was applied, and still: {_says(each)}")
            elif each.step and not again:
                disturbed.append(each)
                self._note(each)
            else:
                was = "as declared" if status == "ok" else "applied"
                self._set(key, "failed", reason=f"it was {was}, and now: {_says(each)}")
        if disturbed:
            self._apply(planned, frozenset(each.resource.key for each in disturbed), again=True)

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
        self.progress(Event(self.host, stage, done, total, key, status))

    def _note(self, each: Planned) -> None:
        """Note what a plan says of a resource."""
        resource, found = each.resource, each.plan
        status: Status = "ok"
        summary = diff = reason = ""
        if isinstance(found, Change):
            status, summary, diff = "would change", self._mask(found.summary), found.diff
        elif isinstance(found, Unknown):
            status, reason = "unknown", self._mask(found.reason)
            if found.blocked:
                self.errors.append(f"{resource.key} ({resource.where}): {reason}")
        self.outcomes[resource.key] = Outcome(
            resource.key,
            status,
            summary,
            self._mask(diff),
            reason,
            resource.role,
            str(resource.where),
        )

    def _note_handlers(self, planned: Sequence[Planned], waiting: Sequence[str]) -> None:
        for key in waiting:
            summary = "an interrupted run left it to be done"
            self.handlers[key] = Outcome(key, "would change", summary)
        for each in planned:
            for handler in each.resource.notify if isinstance(each.plan, Change) else ():
                summary = f"after {each.resource.key}"
                self.handlers.setdefault(handler.key, Outcome(handler.key, "would change", summary))

    def _set(self, key: str, status: Status, reason: str = "") -> None:
        former = self.outcomes[key]
        kept = status != "ok"
        summary = former.summary
        if status == "changed" and former.status == "unknown":
            summary = "made as declared, now that it could be known"
        self.outcomes[key] = Outcome(
            key,
            status,
            summary if kept else "",
            former.diff if kept else "",
            reason,
            former.role,
            former.where,
        )

    def _held(self, holder: Mapping[str, Any]) -> str:
        return (
            f"the host is being changed by {holder.get('owner', 'someone')} (run "
            f"{holder.get('run', '?')}, since {holder.get('at', '?')}, at most until "
            f"{holder.get('expires', '?')}): wait for its end and converge again"
        )

    def _lost(self, steps: frozenset[str], reason: str) -> None:
        for key in steps:
            self._set(key, "unknown", reason="the run's end was not seen")
        self.errors.append(
            f"the end of run {self.run} was not seen: {reason}. What it began goes on or has ended "
            "on the host; converge again to see and to finish"
        )

    def _mask(self, text: str) -> str:
        return mask(text, self.secrets)

    def _result(self, check: bool) -> Result:
        for each in (*self.outcomes.values(), *self.handlers.values()):
            if each.status in ("failed", "skipped"):
                place = f" ({each.where})" if each.where else ""
                self.errors.append(f"{each.key}{place}: {each.reason}")
        return Result(
            host=self.host,
            check=check,
            outcomes=tuple(self.outcomes[each.key] for each in self.resources),
            handlers=tuple(self.handlers.values()),
            errors=tuple(self.errors),
            run=self.run,
            last_run=self.last_run,
            link_lost=self.link_lost,
            trips=self.transport.trips,
            bytes_sent=self.transport.bytes_sent,
            bytes_received=self.transport.bytes_received,
            seconds=self.clock() - self.began,
        )


def _says(each: Planned) -> str:
    if isinstance(each.plan, Change):
        return each.plan.summary
    return each.plan.reason if isinstance(each.plan, Unknown) else "as declared"


def _secrets(catalog: Catalog) -> Iterator[Secret]:
    for resource in catalog:
        for field in fields(resource):
            value = getattr(resource, field.name)
            several = value if isinstance(value, tuple) else (value,)
            yield from (each for each in several if isinstance(each, Secret))
