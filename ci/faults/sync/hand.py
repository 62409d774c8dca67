"""This side of a worker: gives it orders, and ends it in the middle of one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.faults.sync.hindrance import CLOCK
from ci.faults.sync.order import Ended, Order

TOP = Path(__file__).resolve().parents[3]
HERE = (sys.executable, "-m", "ci.faults.sync.worker")
END_S = 5.0
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@dataclass
class Running:
    """An order that is being done."""

    process: int
    _worker: Worker

    def kill(self) -> None:
        """Kills it as the kernel does, and not what it started; it may be over by now."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)

    def kill_in(self, seconds: float) -> None:
        """Kills it so many seconds from now."""
        time.sleep(seconds)
        self.kill()

    def held(self) -> Ended | None:
        """Waits until it is held at its step; how it ended when it never came to it."""
        told = self._worker.read()
        return None if "held" in told else _ended(told)

    def wait(self) -> Ended:
        """Waits for its end."""
        return _ended(self._worker.read())


def _ended(told: dict[str, Any]) -> Ended:
    return Ended(**(told | {"problems": tuple(told["problems"])}))


class Worker:
    """A process that does one order at a time; `with Worker() as worker: worker.do(order)`.

    Args:
        clock: a file that says how far off the worker's time is, for libfaketime; None: it is right.
        command: what starts it, where it is on a host.
    """

    def __init__(self, clock: Path | None = None, command: Sequence[str] = HERE) -> None:
        environment = dict(os.environ)
        if clock is not None:
            clock.write_text("+0d\n")
            environment |= {"LD_PRELOAD": FAKETIME, CLOCK: str(clock), "FAKETIME_NO_CACHE": "1"}
            environment |= {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
        self._process = subprocess.Popen(
            command,
            cwd=TOP,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # its host lost its power
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:  # so did it, and its connection does not know
            self._process.kill()
            self._process.wait()

    def start(self, order: Order) -> Running:
        """Begins an order; its end must be waited for before the next."""
        assert self._process.stdin
        self._process.stdin.write(order.line())
        self._process.stdin.flush()
        return Running(self.read()["process"], self)

    def do(self, order: Order) -> Ended:
        """Does an order to its end, or to where its fault ends it."""
        return self.start(order).wait()

    def read(self) -> dict[str, Any]:
        """Reads what the worker says next; raises `RuntimeError` when it is gone."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with {self._process.wait()}; see what it said")
        told: dict[str, Any] = json.loads(line)
        return told
