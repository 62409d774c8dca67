"""How the engine reaches a host: one call is one trip.

A transport carries one shell command with bytes on its standard input and returns its standard
output. It knows nothing of resources; who is root there, and how, is part of the command.
`fleet.ssh` carries it over Fabric. The three here are public and meant for tests:

- `FakeTransport` answers from a list or a function and remembers what it was asked;
- `CountingTransport` wraps any other and counts trips and bytes both ways;
- `LocalTransport` runs the very command on this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO, Protocol

from require.errors import CommandFailed, DeadlinePassed, ProtocolError, TransportError

OnOutput = Callable[[bytes], None]
MAX_OUTPUT_BYTES = 64 * 1024 * 1024
# What a host's sshd gives; whatever wraps Python for developers is not between us and the program.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Transport(Protocol):
    """One host that can be asked.

    What an implementation keeps:
    - the payload goes on standard input, then end of file; it never becomes an argument or a file;
    - standard output and standard error are read together, or a full window stops both;
    - `timeout_s` is for the whole call: connecting, sending, waiting, reading;
    - more than `MAX_OUTPUT_BYTES` on standard output is an error, not a memory problem.
    """

    @property
    def host(self) -> str:
        """The name people know the host by; errors start with it."""
        ...

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        """Run one command on the host and return what it wrote to standard output.

        Args:
            command: a line for the POSIX shell of the account, below 4 KiB, without secrets.
            payload: bytes for its standard input, of any size.
            timeout_s: seconds for the whole call.
            on_output: called with each piece of standard output as it arrives (progress).

        Raises:
            Unreachable: nothing ran (off-line, wrong host key, refused).
            LinkLost: the link broke after the command was sent.
            DeadlinePassed: `timeout_s` is over.
            CommandFailed: the exit code is not 0.
            ProtocolError: more output than any honest answer has.

        Example:
            >>> LocalTransport().call("cat", b"hello", timeout_s=5)
            b'hello'
        """
        ...


@dataclass(frozen=True)
class Call:
    """One call as a `FakeTransport` remembers it."""

    command: str
    payload: bytes
    timeout_s: float


class FakeTransport:
    """Answers without any host, in memory.

    Args:
        answers: one entry per expected call, each the bytes to return or the error to raise; or a
            function of the `Call` that returns the bytes.
        host: the name it goes by.

    Example:
        >>> fake = FakeTransport([b"one", LinkLost("EC-TAA", "cut")])
        >>> fake.call("true", b"", timeout_s=1), len(fake.calls)
        (b'one', 1)
    """

    def __init__(
        self,
        answers: Iterable[bytes | TransportError] | Callable[[Call], bytes],
        host: str = "fake",
    ) -> None:
        self._function = answers if callable(answers) else None
        self._list = iter(()) if callable(answers) else iter(answers)
        self._host = host
        self.calls: list[Call] = []

    @property
    def host(self) -> str:
        return self._host

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        call = Call(command, payload, timeout_s)
        self.calls.append(call)
        answer = self._function(call) if self._function else next(self._list, None)
        if answer is None:
            raise AssertionError(f"{self.host}: call {len(self.calls)} was not expected")
        if isinstance(answer, TransportError):
            raise answer
        if on_output is not None:
            on_output(answer)
        return answer


@dataclass
class CountingTransport:
    """Passes every call on and counts: trips, bytes there, bytes back.

    Args:
        inner: the transport that does the work.

    Example:
        >>> counting = CountingTransport(LocalTransport())
        >>> counting.call("cat", b"12345", timeout_s=5), counting.trips, counting.bytes_sent
        (b'12345', 1, 8)
    """

    inner: Transport
    trips: int = field(default=0, init=False)
    bytes_sent: int = field(default=0, init=False)
    bytes_received: int = field(default=0, init=False)

    @property
    def host(self) -> str:
        return self.inner.host

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        self.trips += 1
        self.bytes_sent += len(command.encode()) + len(payload)

        def count(piece: bytes) -> None:
            self.bytes_received += len(piece)
            if on_output is not None:
                on_output(piece)

        return self.inner.call(command, payload, timeout_s=timeout_s, on_output=count)


class LocalTransport:
    """Runs each command on this machine, in a shell of its own, as the account we are.

    Args:
        host: the name it goes by.
    """

    def __init__(self, host: str = "localhost") -> None:
        self._host = host

    @property
    def host(self) -> str:
        return self._host

    def call(
        self, command: str, payload: bytes, *, timeout_s: float, on_output: OnOutput | None = None
    ) -> bytes:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=os.environ | {"PATH": f"{_PATH}:{os.path.dirname(sys.executable)}"},
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("Popen was asked for three pipes")
        said: list[bytes] = []
        late = threading.Event()
        threads = [
            threading.Thread(target=_feed, args=(process.stdin, payload), daemon=True),
            threading.Thread(target=_drain, args=(process.stderr, said), daemon=True),
        ]

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_s, stop)
        for thread in (*threads, timer):
            thread.start()
        output = bytearray()
        try:
            while piece := process.stdout.read1(65536):  # type: ignore[attr-defined]
                output += piece
                if on_output is not None:
                    on_output(piece)
                if len(output) > MAX_OUTPUT_BYTES:
                    raise ProtocolError(self.host, f"more than {MAX_OUTPUT_BYTES} bytes came back")
            code = process.wait()
        except BaseException:
            process.kill()  # whoever listens has given up: that is what a cut link looks like
            raise
        finally:
            timer.cancel()
            for thread in threads:
                thread.join()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        if late.is_set():
            raise DeadlinePassed(self.host, f"no end after {timeout_s:g} s")
        if code != 0:
            raise CommandFailed(self.host, code, b"".join(said).decode(errors="replace"))
        return bytes(output)


def _feed(pipe: IO[bytes], payload: bytes) -> None:
    try:
        pipe.write(payload)
        pipe.close()
    except BrokenPipeError:
        pass  # the command ended without reading all: its exit code tells


def _drain(pipe: IO[bytes], into: list[bytes]) -> None:
    for piece in iter(lambda: pipe.read(65536), b""):
        into.append(piece[-65536:])
