"""What the bus said last, and whether that is still worth anything.

A value counts while its word came in time with a normal SSM. "In time" is four of the label's
longest periods, and never less than two seconds. Anything else is unknown, and unknown is never
replaced by the last good value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onboard_app.avionics.labels import TABLE
from onboard_app.avionics.words import Reading, Status, Value

PERIODS_UNTIL_STALE = 4
SHORTEST_STALE_S = 2.0
DISCRETES_STALE_S = 2.0

STALE_S: Mapping[str, float] = {
    label.name: max(SHORTEST_STALE_S, PERIODS_UNTIL_STALE * label.period_s)
    for label in TABLE.values()
}
FLIGHT_PARTS = ("flight_1", "flight_2", "flight_3", "flight_4")


@dataclass
class State:
    """The last reading of each signal with the monotonic time it came at, in seconds."""

    _readings: dict[str, tuple[float, Reading]] = field(default_factory=dict)
    _discretes: tuple[float, Mapping[str, bool]] | None = None

    def take(self, reading: Reading, now: float) -> None:
        """Remembers a reading that arrived at `now`."""
        self._readings[reading.name] = (now, reading)

    def take_discretes(self, signals: Mapping[str, bool], now: float) -> None:
        """Remembers the discrete signals that arrived at `now`."""
        self._discretes = (now, signals)

    def value(self, name: str, now: float) -> Value | None:
        """The signal's value, or None when it is absent, stale or not normal."""
        found = self._readings.get(name)
        if found is None:
            return None
        at, reading = found
        if now - at > STALE_S[name] or reading.status is not Status.NORMAL:
            return None
        return reading.value

    def number(self, name: str, now: float) -> float | None:
        """The signal's value as a number."""
        value = self.value(name, now)
        return float(value) if isinstance(value, (int, float)) else None

    def on_ground(self, now: float) -> bool | None:
        """What the wheels say; None when that is unknown, which everyone must take for airborne."""
        value = self.value("weight_on_wheels", now)
        return value if isinstance(value, bool) else None

    def flight(self, now: float) -> str | None:
        """The flight number put together from its words, or None when a piece is missing."""
        parts = [self.value(name, now) for name in FLIGHT_PARTS]
        if any(part is None for part in parts):
            return None
        return "".join(str(part) for part in parts).strip() or None

    def discretes(self, now: float) -> Mapping[str, bool] | None:
        """The discrete signals by name, or None when they are stale."""
        if self._discretes is None or now - self._discretes[0] > DISCRETES_STALE_S:
            return None
        return self._discretes[1]

    def valid(self, now: float) -> dict[str, bool]:
        """For each signal this aircraft should carry, whether its value counts."""
        return {name: self.value(name, now) is not None for name in STALE_S}
