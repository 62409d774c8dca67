"""When the next heartbeat goes, and when the next synchronisation may start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

LONGEST_WAIT_S = 10.0
SHORTEST_WAIT_S = 1.0
JITTER = 0.1
LONGEST_HOLD_S = 300.0


def wait_s(interval_s: float, failures: int, chance: float) -> float:
    """Seconds until the next heartbeat.

    While the hangar answers: its interval, a tenth more or less, so that a fleet does not beat in
    step. While it does not: twice as long at most after each failure, up to ten seconds (a link that
    comes up is noticed by then, and of the half hour at a gate little is lost), anywhere in the upper
    half of that.

    Args:
        interval_s: what the hangar asked for last.
        failures: heartbeats in a row without an answer.
        chance: evenly spread from 0 to 1.

    >>> wait_s(5, 0, 0.5), wait_s(5, 2, 1.0), wait_s(5, 20, 0.0)
    (5.0, 10.0, 5.0)
    """
    if failures == 0:
        return interval_s * (1 + JITTER * (2 * chance - 1))
    longest = min(LONGEST_WAIT_S, interval_s * 2.0 ** min(failures, 10))
    return max(SHORTEST_WAIT_S, longest * (0.5 + chance / 2))


@dataclass(frozen=True)
class Hold:
    """Keeps a synchronisation that does not help from being started every five seconds.

    The first one that is due starts at once. While the same stays due after it, as it does when it
    failed, and as `up` does while passengers are busy, the next waits, and twice as long each time.
    What becomes due beside it, or anew, waits for none of that.
    """

    due: frozenset[str] = frozenset()
    tries: int = 0
    until: float = 0.0

    def heard(self, due: Collection[str]) -> Hold:
        """After the hangar said what is due; the hold goes on only if all of that was due before.

        >>> Hold().heard(["up"]).started(0, 5).heard(["up", "content"]).over(1)
        True
        """
        things = frozenset(due)
        return replace(self, due=things) if things <= self.due else Hold(due=things)

    def started(self, now: float, interval_s: float) -> Hold:
        """After a synchronisation was started at `now` (monotonic seconds)."""
        pause = min(LONGEST_HOLD_S, interval_s * 2.0**self.tries)
        return replace(self, tries=min(self.tries + 1, 10), until=now + pause)

    def over(self, now: float) -> bool:
        """Whether the next one may start."""
        return now >= self.until
