"""A cellular link as arithmetic: when does a packet that goes in now come out? Pure."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from typing import Any

from ci.lab.errors import LabMisuse

# What IPv4 and UDP put before each payload; the modem's rate and the bill count them.
HEADERS = 28
# A base station buffers about this long, and never less than a small window's worth of packets.
BUFFER_S = 0.25
BUFFER_MIN_BYTES = 48_000


@dataclass(frozen=True)
class LinkSettings:
    """How the link is now.

    Args:
        up: False cuts it: nothing passes, and what was under way is gone.
        rtt_ms: added round-trip time, half of it each way.
        jitter_ms: each packet takes up to so much longer; the order is kept.
        loss: per cent of packets lost, each way.
        kbit: rate each way in kbit/s; 0 sets no limit.
    """

    up: bool = True
    rtt_ms: float = 0
    jitter_ms: float = 0
    loss: float = 0
    kbit: float = 0

    def changed(self, **changes: Any) -> LinkSettings:
        """Returns the settings with the given ones replaced; those that are None stay.

        Raises:
            LabMisuse: a value is below zero, or the loss is above 100.
        """
        new = replace(self, **{name: value for name, value in changes.items() if value is not None})
        for name in ("rtt_ms", "jitter_ms", "loss", "kbit"):
            value = getattr(new, name)
            if not 0 <= value <= (100 if name == "loss" else 1e9):
                flag = "--" + name.replace("_", "-")
                limits = "0 to 100 (per cent)" if name == "loss" else "0 or more"
                raise LabMisuse(f"{flag} is {value:g}; expected {limits}")
        return new


@dataclass
class Counters:
    """What went through one way of the link; bytes include the IP and UDP headers."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Lane:
    """One way of the link.

    >>> lane = Lane(random.Random(1))
    >>> lane.admit(972, 0.0, LinkSettings(rtt_ms=300, kbit=8))  # 1000 bytes at 1000 bytes/s, then 150 ms
    1.15
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sent_until = 0.0
        self._last_arrival = 0.0
        self.counters = Counters()

    def admit(self, payload: int, now: float, link: LinkSettings) -> float | None:
        """Takes a packet in.

        Args:
            payload: its size in bytes, without headers.
            now: seconds on the caller's clock.
            link: the settings at this moment.

        Returns:
            When it comes out, in seconds on the same clock, or None when it is lost.
        """
        size = payload + HEADERS
        if not link.up or (link.loss and self._chance.random() * 100 < link.loss):
            self.counters.lost += 1
            return None
        start = max(now, self._sent_until)
        if link.kbit:
            rate = link.kbit * 125  # bytes per second
            if (start - now) * rate > max(BUFFER_MIN_BYTES, rate * BUFFER_S):
                self.counters.lost += 1
                return None
            self._sent_until = start + size / rate
        else:
            self._sent_until = start = now
        late = self._chance.random() * link.jitter_ms / 1000 if link.jitter_ms else 0.0
        arrival = self._sent_until + link.rtt_ms / 2000 + late
        # A modem delivers in order; a packet that was lucky waits for the one before it.
        self._last_arrival = max(arrival, self._last_arrival)
        self.counters.packets += 1
        self.counters.bytes += size
        return self._last_arrival

    def clear(self) -> None:
        """Forgets what was under way, as when the link is cut."""
        self._sent_until = self._last_arrival = 0.0
