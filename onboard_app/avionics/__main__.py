"""Reads the serial port and keeps the flight's state in Redis: `python -m onboard_app.avionics`."""

from __future__ import annotations

import errno
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import serial

from common.clock import utc_now
from common.logging import configure
from common.settings import Settings
from common.watchdog import Watchdog
from onboard_app.avionics.bus import NOT_OURS, Bus
from onboard_app.avionics.store import RedisStore, Store, Unreachable

PUBLISH_EVERY_S = 0.3
READ_FOR_S = 0.1
REOPEN_AFTER_S = 1.0
TELL_LOST_EVERY_S = 60.0
ALIVE_WITHIN_S = 10.0

log = logging.getLogger("onboard_app.avionics")


class Port(Protocol):
    """What is used of a serial port."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer, or none, when they do not come in time."""

    def close(self) -> None:
        """Lets go of the port."""


def open_port(settings: Settings) -> Port:
    """Opens the converter's port; reading waits 0.1 s at most.

    Raises:
        serial.SerialException: the port is not there, or somebody else has it.
    """
    port = serial.serial_for_url(
        settings.serial_port,
        baudrate=settings.serial_baud,
        timeout=READ_FOR_S,
        exclusive=True,
    )
    # What waited in the driver's buffer is of unknown age, and age is what we judge by.
    port.reset_input_buffer()
    opened: Port = port
    return opened


class Reader:
    """The loop: read, judge, publish; the port is opened again whenever it is lost."""

    def __init__(
        self,
        opened: Callable[[], Port],
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], datetime] = utc_now,
    ) -> None:
        self.bus = Bus.resumed(store)
        self._opened, self._store, self._clock, self._utc = opened, store, clock, utc
        self._port: Port | None = None
        self._published = self._tried = -float("inf")
        self._troubles: set[str] = set()
        self._lost: Counter[str] = Counter()
        self._told = clock()

    def turn(self) -> bool:
        """Does one round; False when there was no port to wait at.

        Raises:
            SystemExit: the port is another device than at the start, which we may not open.
        """
        port = self._port or self._reopen()
        if port is not None:
            try:
                self.bus.receive(port.read(4096), self._clock())
                self._over("port")
            except (serial.SerialException, OSError) as error:
                self._trouble("port", f"lost the serial port, opening it again: {error}")
                self._port = None
                port.close()
        now = self._clock()
        if now - self._published >= PUBLISH_EVERY_S:
            self._publish(now)
        if now - self._told >= TELL_LOST_EVERY_S:
            self._tell_lost(now)
        return self._port is not None

    def _reopen(self) -> Port | None:
        now = self._clock()
        if now - self._tried < REOPEN_AFTER_S:
            return None
        self._tried = now
        try:
            self._port = self._opened()
        except (serial.SerialException, OSError, ValueError) as error:
            if getattr(error, "errno", None) == errno.EPERM:
                # systemd lets us open the one device that had the port's name when we started.
                raise SystemExit(
                    f"another serial port is there now, starting anew: {error}"
                ) from None
            self._trouble("port", f"cannot open the serial port, trying on: {error}")
        return self._port

    def _publish(self, now: float) -> None:
        self._published = now
        self.bus.look(now)
        try:
            self.bus.publish(self._store, now, self._utc())
            self._over("store")
        except Unreachable as error:
            self._trouble("store", f"{error}; the flight reads as unknown until it is back")

    def _tell_lost(self, now: float) -> None:
        # A noisy line costs readings long before it costs all of them.
        lost = self.bus.lost()
        new, self._lost, self._told = lost - self._lost, lost, now
        # What the bus carries for others is not noise, only worth knowing beside it.
        if set(new) - {NOT_OURS}:
            told = ", ".join(f"{count} {what}" for what, count in new.items())
            log.warning("the bus is noisy, lost in the last minute: %s", told)

    def _trouble(self, what: str, message: str) -> None:
        # Once per trouble: this loop turns ten times a second.
        if what not in self._troubles:
            self._troubles.add(what)
            log.warning(message)

    def _over(self, what: str) -> None:
        if what in self._troubles:
            self._troubles.remove(what)
            log.info("%s works again", what)


def main() -> None:
    """Runs until it is stopped."""
    configure()
    settings = Settings.load()
    reader = Reader(lambda: open_port(settings), RedisStore(settings.redis_url))
    log.info("reading %s", settings.serial_port)
    watchdog = Watchdog(ALIVE_WITHIN_S)
    while True:
        watchdog.feed()
        if not reader.turn():
            time.sleep(READ_FOR_S)


if __name__ == "__main__":
    main()
