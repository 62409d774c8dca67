"""The avionics bus of one aircraft: a serial port outside the host, and the recording played into it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tty
from pathlib import Path
from typing import Any

from ci.lab.errors import LabFault

# Debian gives serial ports to this group, and its number is the same on every Debian.
DIALOUT_GID = 20


def flight_number(recording: Path) -> str:
    """Returns what a recording is called on the bus, which carries eight capitals and digits.

    >>> flight_number(Path("flights/afr-34zg (short).csv"))
    'AFR34ZGS'
    """
    return re.sub(r"[^A-Z0-9]", "", recording.stem.upper())[:8]


class Avionics:
    """A pseudo terminal whose far end is `/dev/ttyAVIONICS` in the host."""

    def __init__(self) -> None:
        # Our own hold on the far end keeps bytes flowing into the buffer while nobody reads it.
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._near, False)
        self.path = os.ttyname(self._far)
        if os.geteuid() == 0:
            os.chown(self.path, 0, DIALOUT_GID)
        os.chmod(self.path, 0o660)
        self._task: asyncio.Task[None] | None = None
        self._flying: dict[str, Any] | None = None

    def fly(self, flight: Path, window: str | None, speed: float) -> dict[str, Any]:
        """Plays a recording from now on, in place of what was played before.

        Args:
            flight: the recording, 1 Hz rows.
            window: "FROM:TO" in seconds from its start, or None for all of it.
            speed: seconds of flight per second.

        Raises:
            LabFault: there is no such recording, or nothing in that window.
        """
        from ci.lab import feed

        try:
            rows = feed.load(flight, window)
        except (OSError, ValueError, KeyError) as error:
            raise LabFault(f"no flight to play: {error}") from None
        self.silence()
        self._task = asyncio.get_running_loop().create_task(
            feed.play(self._write, rows, speed, flight=flight_number(flight))
        )
        self._flying = {
            "flight": flight.stem,
            "window": window,
            "speed": speed,
            "seconds": len(rows) / speed,
        }
        return self._flying

    def silence(self) -> None:
        """Stops playing: the bus falls silent."""
        if self._task:
            self._task.cancel()
        self._task = self._flying = None

    def status(self) -> dict[str, Any] | None:
        """Returns what is being played, or None; a feeder that broke says why."""
        if self._task and self._task.done() and not self._task.cancelled():
            error = self._task.exception()
            return {**(self._flying or {}), "broken": repr(error)}
        return self._flying

    def _write(self, data: bytes) -> None:
        # Nobody reads, and the buffer is full? A bus does not wait for its listeners.
        with contextlib.suppress(BlockingIOError):
            os.write(self._near, data)

    def close(self) -> None:
        """Pulls the cable."""
        self.silence()
        os.close(self._near)
        os.close(self._far)
