"""Signs of life for systemd, which starts anew a process that gives none."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Watchdog"]


class Watchdog:
    """Says to systemd that this process goes on, for a loop to call each time round.

    The process itself asks to be watched, by sd_notify(3): a unit that said so would kill an older
    release, which gives no sign, as soon as it is returned to. Where no systemd listens it does nothing.

    Args:
        within_s: seconds without a sign after which the process is to be started anew; longer than
            the longest round.
        address: the socket of sd_notify; None is the one that systemd has named.
        clock: seconds, monotonic.

    Example:
        >>> watchdog = Watchdog(10)
        >>> while True:                                   # doctest: +SKIP
        ...     turn()
        ...     watchdog.feed()
    """

    def __init__(
        self,
        within_s: float,
        address: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        given = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        # Of an abstract socket the name begins with a zero byte, written as @.
        self._address = given.replace("@", "\0", 1) if given.startswith("@") else given
        self._clock, self._every_s, self._fed = clock, within_s / 4, clock()
        self._say(f"WATCHDOG_USEC={int(within_s * 1e6)}\nWATCHDOG=1")

    def feed(self) -> None:
        """Gives a sign, unless the last one was just now."""
        now = self._clock()
        if now - self._fed >= self._every_s:
            self._fed = now
            self._say("WATCHDOG=1")

    def _say(self, what: str) -> None:
        if not self._address:
            return
        # One that systemd has no room for is made up for by the next.
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as way,
        ):
            way.sendto(what.encode(), self._address)
