"""Many hosts at once: each free slot takes the next host, so that nobody waits for the slowest one."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import traceback
from collections.abc import Callable, Sequence

from fleet.errors import Exit, FleetError, UsageError
from fleet.inventory import Host
from fleet.report import WAITS, Outcome, Reporter
from fleet.summary import NOT_BEGUN

SLOTS = 8
HEAR_S = 0.5
Work = Callable[[Host, Callable[[str], None]], Outcome]


def on_each(
    hosts: Sequence[Host],
    work: Work,
    reporter: Reporter,
    slots: int = SLOTS,
    max_failed: int | None = None,
    after: Callable[[Host], None] = lambda host: None,
) -> list[Outcome]:
    """Does the work on each host and returns the outcomes in the order of the hosts.

    An error of ours on one host is that host's outcome; the others go on, as long as no more than
    `max_failed` have failed. Off-line is not failed. The threads are daemons: when ops press Ctrl-C,
    nobody waits for a link that may be dead, and of each host is told what is known.

    Args:
        hosts: what to work on.
        work: gets the host and a function that says what it is doing now.
        reporter: is told each beginning, progress and end; closed at the end.
        slots: how many hosts at once, 1 or more.
        max_failed: when more hosts than this have failed, no other is begun; None sets no bound.
        after: is told each host that was worked on, before its slot takes the next.

    Raises:
        UsageError: no slot, so that no host would ever have its turn.
        OSError: what the reporter writes to is gone.

    >>> on_each(hosts, lambda host, say: Outcome(host.name), reporter)  # doctest: +SKIP
    [Outcome(host='hangar', …)]
    """
    waiting: queue.SimpleQueue[Host | None] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    over = threading.Event()
    failed: list[str] = []
    now: dict[str, str] = {}

    def say(host: str, text: str) -> None:
        # What goes on after the end is nobody's progress any more.
        if not over.is_set():
            now[host] = text
            reporter.progress(host, text)

    def slot() -> None:
        while (host := waiting.get()) is not None and not over.is_set():
            if max_failed is not None and len(failed) > max_failed:
                ended.put(_not_begun(host))
                continue
            say(host.name, "begins")
            outcome = _attempt(host, work, say)
            after(host)
            if outcome.code == Exit.FAILED:
                failed.append(outcome.host)
            ended.put(outcome)

    outcomes: dict[str, Outcome] = {}
    try:
        check_slots(slots)
        for host in hosts:
            say(host.name, WAITS)
            waiting.put(host)
        for number in range(min(slots, len(hosts))):
            waiting.put(None)
            threading.Thread(target=slot, name=f"slot-{number}", daemon=True).start()
        for _ in hosts:
            # Told from here: an output that is gone must end the command, not one of its threads.
            outcome = _next(ended)
            outcomes[outcome.host] = outcome
            reporter.done(outcome)
    except KeyboardInterrupt:
        over.set()
        while not ended.empty():
            outcome = ended.get()
            outcomes[outcome.host] = outcome
            reporter.done(outcome)
        for host in hosts:
            if host.name not in outcomes:
                reporter.done(_interrupted(host, now.get(host.name, WAITS)))
        raise
    finally:
        over.set()
        reporter.close()
    return [outcomes[host.name] for host in hosts]


def check_slots(slots: int) -> None:
    """Raises UsageError where no host would ever have its turn."""
    if slots < 1:
        raise UsageError(f"--slots: expected 1 or more, found {slots}")


def most_failed(text: str, hosts: int) -> int | None:
    """Returns how many of so many hosts may fail; None where nothing is said.

    Raises:
        UsageError: it is neither a number nor a percentage.

    >>> most_failed("5%", 50), most_failed("2", 50), most_failed("", 50)
    (2, 2, None)
    """
    found = re.fullmatch(r"(\d{1,6})(%?)", text.strip())
    if text and (found is None or (found[2] and int(found[1]) > 100)):
        raise UsageError(f"--max-failed: expected a number such as 2 or 5%, found {text!r}")
    if found is None:
        return None
    return hosts * int(found[1]) // 100 if found[2] else int(found[1])


def _next(ended: queue.SimpleQueue[Outcome]) -> Outcome:
    """Waits in short pieces: a Ctrl-C just before a wait is only heard after it."""
    while True:
        with contextlib.suppress(queue.Empty):
            return ended.get(timeout=HEAR_S)


def _not_begun(host: Host) -> Outcome:
    return Outcome(
        host.name,
        Exit.FAILED,
        NOT_BEGUN,
        "more hosts have failed than --max-failed allows",
        "see why those failed; then run the command again",
    )


def _interrupted(host: Host, was: str) -> Outcome:
    if was == WAITS:
        return Outcome(host.name, Exit.INTERRUPTED, NOT_BEGUN, "its turn had not come")
    return Outcome(
        host.name,
        Exit.INTERRUPTED,
        "interrupted",
        f"last seen at: {was}",
        "what was begun on a host may go on there; the same command again says how it ended",
    )


def _attempt(host: Host, work: Work, say: Callable[[str, str], None]) -> Outcome:
    try:
        return work(host, lambda text: say(host.name, text))
    except FleetError as error:
        return Outcome.of(host.name, error)
    except Exception as error:
        where = tuple(traceback.format_exc().splitlines())
        return Outcome(
            host.name,
            Exit.FAILED,
            "failed",
            f"a fault in turnaround itself: {type(error).__name__}: {error}",
            "report it with the lines above",
            where,
        )
