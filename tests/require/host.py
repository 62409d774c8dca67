"""A corner of this machine that plays a host: the very program, its own process, its journal."""

from __future__ import annotations

import fcntl
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import require
from require import LinkLost, LocalTransport, Unreachable, program
from require.catalog import Catalog
from require.remote import worker
from require.remote.wire import Decoder
from require.result import Result
from require.transport import OnOutput


class Host:
    """A corner of this machine that plays a host."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "ro ot"
        self.root.mkdir()
        self.state = folder / "state"

    def path(self, name: str) -> str:
        return str(self.root / name)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def converge(
        self, catalog: Catalog, check: bool = False, transport: Any = None, **more: Any
    ) -> Result:
        transport = transport or LocalTransport("EC-TAA")
        return require.run.converge(
            transport, catalog, check, state_dir=str(self.state), operator="ops@desk", **more
        )

    def undo(self, check: bool = False, transport: Any = None, **more: Any) -> Result:
        transport = transport or LocalTransport("EC-TAA")
        return require.undo.undo(
            transport, check, state_dir=str(self.state), operator="ops@desk", **more
        )

    def resume(self, catalog: Catalog, run: str = "", transport: Any = None, **more: Any) -> Result:
        transport = transport or LocalTransport("EC-TAA")
        return require.resume.resume(transport, catalog, run, state_dir=str(self.state), **more)

    def journal(self, run: str) -> list[dict[str, Any]]:
        lines = (self.state / "runs" / run / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def wait_for_the_run(self) -> None:
        """Wait until nobody holds the host's lock."""
        with open(self.state / "runs" / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH)

    @contextmanager
    def files(self, count: int, text: str = "one\n") -> Iterator[Catalog]:
        with require.declare(role="test") as catalog:
            for number in range(count):
                require.file.file(self.path(f"file {number}"), content=text, owner=None)
            yield catalog


class Meddling:
    """Changes something on the host between the look and the apply."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self.inner, self.meddle, self.calls = LocalTransport(), meddle, 0

    @property
    def host(self) -> str:
        return self.inner.host

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        self.calls += 1
        if self.calls == 2:
            self.meddle()
        return self.inner.call(command, payload, timeout_s=timeout_s, on_output=on_output)


class Cut:
    """A link that breaks as soon as the run says something, and is down for some calls.

    Args:
        down: how many calls find nobody after it broke.
        at: which call it breaks in.
    """

    def __init__(self, down: int, at: int = 2) -> None:
        self.inner, self.down, self.at, self.calls = LocalTransport("EC-TAA"), down, at, 0

    @property
    def host(self) -> str:
        return self.inner.host

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        self.calls += 1
        if self.at < self.calls <= self.at + self.down:
            raise Unreachable(self.host, "no route")

        def breaks(piece: bytes) -> None:
            raise LinkLost(self.host, "the link was cut")

        heard = breaks if self.calls == self.at else on_output
        return self.inner.call(command, payload, timeout_s=timeout_s, on_output=heard)


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Here:
    """Runs both trips in this process, so that a test can break what they stand on."""

    host = "EC-TAA"

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        decoder = Decoder()
        request = decoder.load(json.dumps(program.read(payload)))
        answer = io.BytesIO()
        if request["mode"] != "apply":
            import_module(f"require.remote.{request['mode']}").main(request, answer)
        else:
            reading, writing = os.pipe()
            worker.main(request, decoder, writing)
            os.close(writing)
            with open(reading, "rb") as pipe:
                answer.write(pipe.read())
        assert on_output is not None
        on_output(answer.getvalue())
        return answer.getvalue()


def statuses(result: Result) -> dict[str, str]:
    return {each.key.rpartition("/")[2]: each.status for each in result.outcomes}


def note(host: Host, name: str) -> require.Handler:
    """A handler that adds a line to a file, so that its runs can be counted."""
    return require.command.handler(name, f"echo ran >> '{host.path(name)}'")
