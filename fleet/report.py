"""What people and scripts see of a command: a live table, plain lines, or one JSON object per host."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from fleet.errors import Exit, FleetError, combine


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
    """

    host: str
    code: Exit = Exit.DONE
    status: str = "done"
    detail: str = ""
    remedy: str = ""
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

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
    """One JSON object per host and line, when the host is done."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._lock = threading.Lock()

    def progress(self, host: str, text: str) -> None:
        pass

    def done(self, outcome: Outcome) -> None:
        with self._lock:
            self._out.write(json.dumps(outcome.as_json(), ensure_ascii=False) + "\n")
            self._out.flush()

    def close(self) -> None:
        pass


SILENCE_S = 15.0
"""How long a host may be at work before a plain reader is told what it is doing."""


class PlainReporter:
    """Lines, each beginning with its host, for logs and pipes: how each ended, and little before.

    Args:
        out: where to.
        clock: seconds that only grow; progress is told when nothing was for `SILENCE_S`.
    """

    def __init__(self, out: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def progress(self, host: str, text: str) -> None:
        now = self._clock()
        if now - self._told.setdefault(host, now) >= SILENCE_S:
            self._told[host] = now
            # A reader that is gone must not cut a host's work short: `done` says so, at its end.
            with contextlib.suppress(OSError):
                self._write([f"{host}: … {text}"])

    def done(self, outcome: Outcome) -> None:
        self._write(plain(outcome))

    def _write(self, lines: Iterable[str]) -> None:
        with self._lock:
            self._out.write("".join(f"{line}\n" for line in lines))
            self._out.flush()

    def close(self) -> None:
        pass


class LiveReporter:
    """A table that is redrawn while hosts work; what each has to say stands below it in the end."""

    _COLOURS: Mapping[Exit, str] = {
        Exit.DONE: "green",
        Exit.CHANGES: "yellow",
        Exit.OFFLINE: "blue",
    }

    def __init__(self, out: IO[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._lock = threading.Lock()
        self._now: dict[str, str] = {}
        self._ended: dict[str, Outcome] = {}
        self._console = Console(file=out, highlight=False, emoji=False, markup=False)
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=8)
        self._live.start()

    def progress(self, host: str, text: str) -> None:
        with self._lock:
            self._now[host] = text

    def done(self, outcome: Outcome) -> None:
        with self._lock:
            self._now.setdefault(outcome.host, "")
            self._ended[outcome.host] = outcome

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        with self._lock:
            for host, text in self._now.items():
                ended = self._ended.get(host)
                if ended is None:
                    table.add_row(Text(host), Text("…", "dim"), Text(text, "dim"))
                else:
                    colour = self._COLOURS.get(ended.code, "red")
                    table.add_row(Text(host), Text(ended.status, colour), Text(ended.detail))
        return table

    def close(self) -> None:
        self._live.stop()
        outcomes = [self._ended[host] for host in self._now if host in self._ended]
        for outcome in outcomes:
            remedy = [f"→ {outcome.remedy}"] if outcome.remedy else []
            if below := [*outcome.lines, *remedy]:
                self._console.print(f"\n{outcome.host}", style="bold")
            for line in below:
                # The terminal wraps what is too long: a copied line is then still one line.
                self._console.print(f"  {line}", style=_style(line), soft_wrap=True)
        if len(outcomes) > 1:
            self._console.print(f"\n{tally(outcomes)}")


def plain(outcome: Outcome) -> list[str]:
    """Returns the lines that say how it ended on a host."""
    detail = f": {outcome.detail}" if outcome.detail else ""
    lines = [f"{outcome.host}: {line}" for line in outcome.lines]
    lines.append(f"{outcome.host}: {outcome.status}{detail}")
    if outcome.remedy:
        lines.append(f"{outcome.host}:   → {outcome.remedy}")
    return lines


def tally(outcomes: Sequence[Outcome]) -> str:
    """Returns how many hosts ended how, the most frequent first.

    >>> tally([Outcome("EC-TAA", status="changed"), Outcome("EC-TAB", status="changed")])
    '2 hosts: all changed'
    """
    counts = Counter(outcome.status for outcome in outcomes).most_common()
    said = [f"{'all' if len(counts) == 1 else count} {status}" for status, count in counts]
    return f"{len(outcomes)} hosts: {', '.join(said)}"


def _style(line: str) -> str:
    if line.startswith("+") and not line.startswith("+++"):
        return "green"
    return "red" if line.startswith("-") and not line.startswith("---") else ""


def reporter(as_json: bool, out: IO[str] | None = None) -> Reporter:
    """Returns the way to show a command on this output: JSON when asked, a table on a terminal."""
    out = out or sys.stdout
    if as_json:
        return JsonReporter(out)
    return LiveReporter(out) if out.isatty() else PlainReporter(out)


def exit_code(outcomes: Iterable[Outcome]) -> Exit:
    """Returns the command's exit code: failed over changes over off-line over done."""
    return combine(outcome.code for outcome in outcomes)
