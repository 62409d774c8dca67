"""The table that people see on a terminal while hosts work, and what stands there in the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet import summary
from fleet.errors import Exit
from fleet.report import WAITS, Outcome

_COLOURS: Mapping[Exit, str] = {
    Exit.DONE: "green",
    Exit.CHANGES: "yellow",
    Exit.OFFLINE: "blue",
    Exit.INTERRUPTED: "yellow",
}
_WELL = (Exit.DONE, Exit.CHANGES)
# A terminal scrolls when its last line is written, and then no longer overwrites the first.
_SPARE_LINES = 2
_COUNT_LINES = 2


class LiveReporter:
    """A table that is redrawn while hosts work; what each has to say stands below it in the end.

    A fleet that is longer than the terminal is high is not listed: only who is at work, who failed,
    and how many are where.

    Args:
        out: the terminal.
        log: where the run is kept, told at the end; empty where it is not.
        whole: show in the end what every host has to say, however many they are.
    """

    def __init__(
        self, out: IO[str], log: Callable[[], str] = lambda: "", *, whole: bool = True
    ) -> None:
        self._log, self._whole = log, whole
        self._lock = threading.Lock()
        self._now: dict[str, str] = {}
        self._ended: dict[str, Outcome] = {}
        self._closing = False
        self._console = Console(file=out, highlight=False, emoji=False, markup=False)
        self._live = Live(console=self._console, get_renderable=self.table, refresh_per_second=8)
        self._live.start()

    def progress(self, host: str, text: str) -> None:
        with self._lock:
            self._now[host] = text

    def done(self, outcome: Outcome) -> None:
        with self._lock:
            self._now.setdefault(outcome.host, "")
            self._ended[outcome.host] = outcome

    @property
    def _height(self) -> int:
        return max(6, self._console.size.height - _SPARE_LINES)

    def table(self) -> Table:
        """Returns what the terminal shows now."""
        with self._lock:
            if len(self._now) <= self._height:
                return self._all()
            return self._some()

    def _all(self) -> Table:
        # In the end a reason may take as many lines as it needs.
        table = self._grid(cut=not self._closing)
        for host, text in self._now.items():
            _row(table, host, self._ended.get(host), text)
        return table

    def _some(self) -> Table:
        table = self._grid(cut=True)
        failed = [each for each in self._ended.values() if each.code == Exit.FAILED]
        failed = [each for each in failed if each.status != summary.NOT_BEGUN]
        at_work = {
            host: text
            for host, text in self._now.items()
            if host not in self._ended and text != WAITS
        }
        room = self._height - _COUNT_LINES
        # Those that failed have half of the lines at least: they are what somebody must look at.
        shown = min(len(failed), max(room // 2, room - len(at_work)))
        if shown < len(failed):
            shown -= 1
        for each in failed[len(failed) - shown :]:
            _row(table, each.host, each)
        if shown < len(failed):
            table.add_row("", Text("failed", "red"), f"… and {len(failed) - shown} before")
        for host in list(at_work)[: room - table.row_count]:
            _row(table, host, None, at_work[host])
        grid = Table.grid()
        grid.add_row(table)
        grid.add_row(Text(self._counts(len(at_work)), "bold"))
        return grid

    def _grid(self, cut: bool) -> Table:
        """Returns an empty table; where it must be narrower than its cells, only reasons are cut."""
        table = Table.grid(padding=(0, 2))
        host = max(map(len, self._now), default=1)
        status = max((len(each.status) for each in self._ended.values()), default=1)
        table.add_column(no_wrap=True, min_width=host)
        table.add_column(no_wrap=True, min_width=status)
        left = max(10, self._console.size.width - host - status - 4)
        table.add_column(no_wrap=cut, overflow="ellipsis" if cut else "fold", max_width=left)
        return table

    def _counts(self, at_work: int) -> str:
        ended = Counter(each.status for each in self._ended.values()).most_common()
        waiting = len(self._now) - len(self._ended) - at_work
        counts = [
            *((count, name) for name, count in ended),
            (at_work, "at work"),
            (waiting, "waiting"),
        ]
        said = ", ".join(f"{count} {name}" for count, name in counts if count)
        return f"{len(self._now)} hosts: {said}"

    def close(self) -> None:
        self._closing = True
        self._live.transient = len(self._now) > self._height
        self._live.stop()
        outcomes = [self._ended[host] for host in self._now if host in self._ended]
        place = self._log()
        listed = not self._live.transient
        told = [
            each
            for each in outcomes
            if each.lines or each.remedy or (not listed and each.code not in _WELL)
        ]
        if self._whole or not place or (listed and len(told) <= summary.FEW):
            self._tell(told, listed)
        else:
            for line in summary.worst(outcomes, width=self._console.size.width):
                style = "" if line.startswith(" ") else "bold"
                self._console.print(line, style=style, soft_wrap=True)
            if said := sum(bool(each.lines) for each in outcomes):
                self._console.print(f"\n{said} hosts have more to say: see the log")
        if len(outcomes) > 1:
            self._console.print(f"\n{summary.tally(outcomes)}")
        if place:
            self._console.print(f"log: {place}", soft_wrap=True)

    def _tell(self, outcomes: list[Outcome], listed: bool) -> None:
        """Says what hosts have to say; those of which only the remedy is left are told together."""

        def alike(each: Outcome) -> object:
            return each.remedy if listed and not each.lines else each.host

        for group in summary.together(outcomes, alike):
            first = group[0]
            named = summary.names(group, self._console.size.width)
            self._console.print(f"\n{named}", style="bold")
            reason = [] if listed else [f"{first.status}: {first.detail}"]
            remedy = [f"→ {first.remedy}"] if first.remedy else []
            for line in [*reason, *first.lines, *remedy]:
                # The terminal wraps what is too long: a copied line is then still one line.
                self._console.print(f"  {line}", style=_style(line), soft_wrap=True)


def _row(table: Table, host: str, ended: Outcome | None, text: str = "") -> None:
    cells: tuple[Any, ...] = (Text("…", "dim"), Text(text, "dim"))
    if ended is not None:
        colour = _COLOURS.get(ended.code, "red")
        cells = (Text(ended.status, colour), Text(summary.one_line(ended.detail)))
    table.add_row(Text(host), *cells)


def _style(line: str) -> str:
    if line.startswith("+") and not line.startswith("+++"):
        return "green"
    return "red" if line.startswith("-") and not line.startswith("---") else ""
