"""What people and scripts see of a command: a live table, plain lines, or one JSON object per host.

The table is `fleet.live`; what is said at the end of many hosts, `fleet.summary`; and what is kept of
it all on the disk, `fleet.runlog`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from fleet import summary
from fleet.errors import Exit, FleetError, combine

WAITS = "waits"
"""What a host does whose turn has not come."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended on one host.

    Args:
        host: its name.
        code: what it means for the exit code.
        status: one or two words: `no change`, `changed`, `off-line`, `failed`, …
        detail: one line with the reason or the summary.
        remedy: what to do, when there is something.
        lines: what is shown below the table: changes, diffs, errors.
        data: what `--json` adds: figures, changes.
        whole: `lines` with nothing shortened, for the log; empty when they are that already.
    """

    host: str
    code: Exit = Exit.DONE
    status: str = "done"
    detail: str = ""
    remedy: str = ""
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    whole: tuple[str, ...] = ()

    @staticmethod
    def of(host: str, error: FleetError) -> Outcome:
        """Returns the outcome that an error stands for."""
        offline = error.exit_code == Exit.OFFLINE
        return Outcome(
            host,
            error.exit_code,
            "off-line" if offline else "failed",
            error.what.removeprefix(f"{host}: "),
            error.remedy
            or (
                "nothing is queued for it; run the command again when it is on the ground"
                if offline
                else ""
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """Returns what `--json` prints for this host."""
        return {
            "host": self.host,
            "exit": int(self.code),
            "status": self.status,
            "detail": self.detail,
            **({"remedy": self.remedy} if self.remedy else {}),
            **self.data,
        }


class Reporter(Protocol):
    """Shows how a command goes on many hosts at once; every call may come from any thread."""

    def progress(self, host: str, text: str) -> None:
        """Says what a host is doing now."""
        ...

    def done(self, outcome: Outcome) -> None:
        """Says how it ended on a host."""
        ...

    def close(self) -> None:
        """Ends the showing; nothing more comes."""
        ...


class JsonReporter:
    """One JSON object per host and line, when the host is done.

    Args:
        out: where to.
        log: where the run is kept, told at the end on standard error.
    """

    def __init__(self, out: IO[str], log: Callable[[], str] = lambda: "") -> None:
        self._out, self._log = out, log
        self._lock = threading.Lock()

    def progress(self, host: str, text: str) -> None:
        pass

    def done(self, outcome: Outcome) -> None:
        with self._lock:
            self._out.write(json.dumps(outcome.as_json(), ensure_ascii=False) + "\n")
            self._out.flush()

    def close(self) -> None:
        if place := self._log():
            sys.stderr.write(f"log: {place}\n")


SILENCE_S = 15.0
"""How long a host may be at work before a plain reader is told what it is doing."""


class PlainReporter:
    """Lines, each beginning with its host, for logs and pipes: how each ended, and little before.

    Args:
        out: where to.
        clock: seconds that only grow; progress is told when nothing was for `SILENCE_S`.
        log: where the run is kept, told at the end; empty where it is not.
    """

    def __init__(
        self,
        out: IO[str],
        clock: Callable[[], float] = time.monotonic,
        log: Callable[[], str] = lambda: "",
    ) -> None:
        self._out, self._clock, self._log = out, clock, log
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._ended: list[Outcome] = []

    def progress(self, host: str, text: str) -> None:
        now = self._clock()
        if now - self._told.setdefault(host, now) >= SILENCE_S:
            self._told[host] = now
            # A reader that is gone must not cut a host's work short: `done` says so, at its end.
            with contextlib.suppress(OSError):
                self._write([f"{host}: … {text}"])

    def done(self, outcome: Outcome) -> None:
        self._ended.append(outcome)
        self._write(plain(outcome))

    def _write(self, lines: Iterable[str]) -> None:
        with self._lock:
            self._out.write("".join(f"{line}\n" for line in lines))
            self._out.flush()

    def close(self) -> None:
        place = self._log()
        # A few are read as they come; of many, what went wrong is said again at the end.
        many = len(self._ended) > summary.FEW
        again = summary.worst(self._ended, logged=bool(place)) if many else []
        counted = [summary.tally(self._ended)] if len(self._ended) > 1 else []
        if ending := [*again, *counted, *([f"log: {place}"] if place else [])]:
            self._write(ending)


def plain(outcome: Outcome) -> list[str]:
    """Returns the lines that say how it ended on a host."""
    detail = f": {outcome.detail}" if outcome.detail else ""
    lines = [f"{outcome.host}: {line}" for line in outcome.lines]
    lines.append(f"{outcome.host}: {outcome.status}{detail}")
    if outcome.remedy:
        lines.append(f"{outcome.host}:   → {outcome.remedy}")
    return lines


def reporter(
    as_json: bool,
    out: IO[str] | None = None,
    *,
    log: Callable[[], str] | None = None,
    whole: bool = False,
) -> Reporter:
    """Returns the way to show a command on this output: JSON when asked, a table on a terminal.

    Args:
        as_json: one JSON object per host.
        out: where to; None is standard output.
        log: tells where the run is kept; None where it is not, so that all must be shown.
        whole: show what every host has to say, however many there are.
    """
    out = out or sys.stdout
    place = log or (lambda: "")
    if as_json:
        return JsonReporter(out, place)
    if out.isatty():
        from fleet.live import LiveReporter

        return LiveReporter(out, place, whole=whole or log is None)
    return PlainReporter(out, log=place)


def exit_code(outcomes: Iterable[Outcome]) -> Exit:
    """Returns the command's exit code: failed over changes over off-line over done."""
    return combine(outcome.code for outcome in outcomes)
