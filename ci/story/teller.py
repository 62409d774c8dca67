"""What tells a story: steps in chapters, each timed, each with the one fact it proved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

from fleet.errors import FleetError


class NotSo(AssertionError):
    """What a step claims does not hold; the message says what was expected and what was found."""


@dataclass(frozen=True)
class Step:
    """One sentence of the story and what makes it true.

    `tell` acts, checks, and returns the fact that it saw ("2 hosts, no change"); it raises `NotSo`, or
    whatever the part it called raised, when the sentence is not true.

    Example: `Step("Release", "the hangar's app answers", lambda: check_health(world))`
    """

    chapter: str
    sentence: str
    tell: Callable[[], str]


@dataclass
class Teller:
    """Tells steps on a console and keeps how long each took (seconds).

    Example: `Teller(Console()).tell(steps)` returns True when every step held.
    """

    console: Console
    clock: Callable[[], float] = time.monotonic
    took: dict[str, float] = field(default_factory=dict)

    def tell(self, steps: Iterable[Step]) -> bool:
        """Tells the steps in order, and stops at the first that does not hold."""
        chapter = ""
        for step in steps:
            if step.chapter != chapter:
                chapter = step.chapter
                self.console.print(f"\n[bold]{escape(chapter)}[/bold]")
            if not self._tell_one(step):
                return False
        return True

    def _tell_one(self, step: Step) -> bool:
        started = self.clock()
        try:
            with self.console.status(f"  {escape(step.sentence)} …"):
                fact = step.tell()
        except Exception as fault:
            seconds = self.clock() - started
            self.console.print(f"  [red]✗[/red] {escape(step.sentence)} [dim]{seconds:.1f} s[/dim]")
            self.console.print(
                f"    [red]{escape(str(fault) or repr(fault))}[/red]", soft_wrap=True
            )
            # What says by itself what to do needs no traceback; what nobody foresaw does.
            if not isinstance(fault, NotSo | FleetError):
                self.console.print_exception(max_frames=6)
            return False
        seconds = self.clock() - started
        self.took[step.sentence] = seconds
        self.console.print(
            f"  [green]✓[/green] {escape(step.sentence)} [dim]– {escape(fact)}, {seconds:.1f} s[/dim]",
            soft_wrap=True,
        )
        return True


def eventually(
    what: str,
    look: Callable[[], object],
    *,
    within_s: float,
    every_s: float = 0.5,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> object:
    """Looks again and again until `look` returns something true, and returns it.

    `NotSo` and `OSError` (a host not there yet) count as "not yet". Raises `NotSo`, with the last thing
    seen, when `within_s` seconds have passed.

    Example: `eventually("the film is aboard", lambda: find(world, "film"), within_s=60)`
    """
    deadline = clock() + within_s
    last: object = None
    while True:
        try:
            last = look()
            if last:
                return last
        except (NotSo, OSError) as fault:
            last = fault
        if clock() >= deadline:
            raise NotSo(f"{what}: not so within {within_s:g} s; last seen: {last!r}")
        sleep(every_s)
