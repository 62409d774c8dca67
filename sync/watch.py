"""Looks at a transfer of content while it runs: how fast it is, and whether it should stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sync import holding
from sync.manifest import File
from sync.overtake import STOP_COST_S

__all__ = ["LINK_LOOK_S", "RATE_AFTER_S", "Watch"]

# A rate is believed after so many seconds: a link that has just come up begins slowly.
RATE_AFTER_S = 10.0
# How often it is looked whether the way is another one.
LINK_LOOK_S = 3.0


class Watch:
    """The `stop` of one `Link.fetch`; what it saw is in `grew`, `late` and `diverted` afterwards.

    Args:
        content: where it is received.
        coming: what is fetched.
        overtaken: told how many seconds it takes still, says whether it should make way.
        hopeless: told the same, says whether what is fetched comes too late.
        diverted: says whether the way is another one, on which this is not to go on so.
        rows_due: says whether rows wait, which are exchanged before it goes on.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        content: Path,
        coming: Sequence[File],
        overtaken: Callable[[float], bool],
        hopeless: Callable[[float], bool],
        diverted: Callable[[], bool],
        rows_due: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._content, self._coming, self._clock = content, coming, clock
        self._overtaken, self._hopeless, self._diverted = overtaken, hopeless, diverted
        self._rows_due = rows_due
        self._started = self._looked = clock()
        self._began, self._lacked = clock(), holding.missing_bytes(content, coming)
        self.overtaken = self.late = self.diverted = False
        self.grew: File | None = None

    def __call__(self) -> bool:
        """Whether the transfer should stop."""
        self.grew = next((one for one in self._coming if self._is_longer(one)), None)
        if (left := self._left()) >= self._lacked:
            # rsync looks through what is here before it asks for more: of a film that takes minutes.
            self._began, self._lacked = self._clock(), left
        rate = self.rate()
        left_s = left / rate if rate else float("inf")
        self.overtaken = self._overtaken(left_s) or (self._pays(left_s) and self._rows_due())
        self.diverted = self._looks_elsewhere()
        # How fast the former way was says nothing of this one.
        self.late = not self.diverted and self.settled() and self._hopeless(left_s)
        return self.grew is not None or self.overtaken or self.late or self.diverted

    @property
    def came(self) -> int:
        """How many bytes came until now."""
        return self._lacked - self._left()

    def rate(self) -> float:
        """Bytes per second since the first came; 0 when nothing did."""
        return self.came / max(self._clock() - self._began, 0.001)

    def settled(self) -> bool:
        """Whether it ran for so long that its rate says something of the next one's."""
        return self._clock() - self._began > RATE_AFTER_S

    def _pays(self, left_s: float) -> bool:
        """Whether it brought for so long that looking through it all once more is no more than that."""
        looked = self._began - self._started
        return STOP_COST_S < left_s < float("inf") and self._clock() - self._began >= looked

    def _looks_elsewhere(self) -> bool:
        if self._clock() - self._looked < LINK_LOOK_S:
            return False
        self._looked = self._clock()
        return self._diverted()

    def _left(self) -> int:
        return holding.missing_bytes(self._content, self._coming)

    def _is_longer(self, file: File) -> bool:
        return holding.staged_bytes(self._content, file) > file.size
