"""What goes wrong in a worker's child: it watches for the step, and there lets the fault happen.

The steps that the code does not tell are seen by Python's own audit events, which come before the
operation; so nothing of `sync` has to know that it is watched.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from ci.faults.sync.order import Order
from common.settings import Settings

PAGE = 4096
CUT, FILLER, CLOCK = "link-is-cut", "filler", "FAKETIME_TIMESTAMP_FILE"
_NAMED = (
    ("os.rename", 1, re.compile(r"/blobs/../[0-9a-f]{64}"), "content taking"),
    ("os.link", 1, re.compile(r"/versions/\.new/"), "content linking"),
    ("os.rename", 1, re.compile(r"/versions/\d+"), "content naming"),
    ("os.symlink", 1, re.compile(r"/\.current\.new"), "content pointing"),
    ("os.rename", 1, re.compile(r"/content/current"), "content switching"),
    ("os.remove", 0, re.compile(r"/outbox/.*\.cs"), "ack letting go"),
)


class Hindrance:
    """Lets the order's fault happen at its step, once.

    `met` says that it did.
    """

    def __init__(self, order: Order, settings: Settings) -> None:
        self._order, self._state, self._run = order, settings.state_dir, settings.run_dir
        self._left = order.nth
        self._watching = False
        self.met = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watches until the end of the block; the hook itself stays as long as the process does."""
        if self._order.fault:
            sys.addaudithook(self._heard)
            event.listen(Engine, "commit", self._committing)
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def told(self, what: str, step: str) -> None:
        """Takes a step that the code tells."""
        self._at(f"{what} {step}")

    def _committing(self, connection: object) -> None:
        if self._order.do == "accept":
            self._at("ack accepting")

    def _heard(self, name: str, args: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        words = [str(word) for word in args[1]] if name == "subprocess.Popen" else []
        if "rsync" in words:
            blobs = words[-2].endswith("content/blobs/")
            up = words[-1].endswith(":./")
            self._at("session " + ("pushing" if up else "fetching" if blobs else "pulling"))
        for event_name, place, pattern, step in _NAMED:
            if name == event_name and pattern.search(str(args[place])):
                self._at(step)

    def _at(self, step: str) -> None:
        if self.met or step != self._order.step:
            return
        self._left -= 1
        if self._left:
            return
        self.met = True
        _FAULTS[self._order.fault](self)

    def _kill(self) -> None:
        def kill() -> None:
            time.sleep(self._order.value)
            os.kill(os.getpid(), signal.SIGKILL)

        if self._order.value:
            threading.Thread(target=kill, daemon=True).start()
        else:
            kill()

    def _cut(self) -> None:
        (self._run / CUT).write_text(str(int(self._order.value)))

    def _full(self) -> None:
        fill(self._state / FILLER, int(self._order.value))

    def _hold(self) -> None:
        sys.stdout.write(json.dumps({"held": self._order.step}) + "\n")
        sys.stdout.flush()
        while True:
            signal.pause()

    def _clock(self) -> None:
        Path(os.environ[CLOCK]).write_text(f"{self._order.value * 365:+.0f}d\n")


_FAULTS: dict[str, Callable[[Hindrance], None]] = {
    "kill": Hindrance._kill,
    "cut": Hindrance._cut,
    "full": Hindrance._full,
    "clock": Hindrance._clock,
    "hold": Hindrance._hold,
}


def fill(filler: Path, left_pages: int) -> None:
    """Takes all the room of a file system but so many pages."""
    handle = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (2**20, PAGE):
            try:
                while True:
                    os.write(handle, bytes(size))
            except OSError:
                continue
        taken = os.fstat(handle).st_size
        os.truncate(handle, max(0, taken - left_pages * PAGE))
        os.fsync(handle)
    finally:
        os.close(handle)
