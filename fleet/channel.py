"""One command on a host, over a raw channel, with a deadline on every wait.

Fabric's `run(in_stream=…)` hands over one character each 10 ms, and paramiko waits for ever for the
answer to an exec request on a link that died. So the payload goes through the channel itself, the
request is not waited for (what it would say comes with the output: one trip less), and a silent
link is asked for a sign of life and given up when none comes.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST

from fleet.errors import FleetError, LinkLost, RemoteFailed
from fleet.wire import Wire

Input = bytes | BinaryIO | Iterable[bytes] | None
BLOCK = 1 << 16
PING_AFTER_S = 10.0
DEAD_AFTER_S = 45.0
MAX_OUTPUT = 64 << 20


class DeadlinePassed(FleetError):
    """The command did not end in the time it was given."""


class TooMuchOutput(FleetError):
    """The command wrote more than any honest one does."""


@dataclass(frozen=True)
class Completed:
    """How a command on a host ended; `exit` is -1 when a signal ended it."""

    exit: int
    stdout: bytes
    stderr: bytes

    def check(self, name: str, what: str) -> Completed:
        """Returns itself when the command succeeded.

        Raises:
            RemoteFailed: with the host, what was tried and the last lines of standard error.
        """
        if self.exit == 0:
            return self
        said = self.stderr.decode(errors="replace").strip() or self.stdout.decode(errors="replace")
        tail = "\n".join(said.strip().splitlines()[-5:])
        raise RemoteFailed(
            f"{name}: {what} ended with exit code {self.exit}: {tail or 'no output'}"
        )


def execute(
    name: str,
    channel: paramiko.Channel,
    wire: Wire,
    command: str,
    stdin: Input = None,
    *,
    timeout_s: float,
    what: str,
    started: float | None = None,
    on_output: Callable[[bytes], None] | None = None,
    max_output: int = MAX_OUTPUT,
) -> Completed:
    """Runs one command on an open channel and returns how it ended.

    Args:
        name: the host, for errors.
        channel: a session channel on which nothing was started yet.
        wire: the connection's bytes, to tell a silent command from a dead link.
        command: a line for the host's shell.
        stdin: what it reads: bytes, a file, or blocks as they come.
        timeout_s: seconds until it is given up, counted from `started`.
        what: the command in a word, for errors.
        started: `time.monotonic()` when the caller began; None is now.
        on_output: called with each piece of standard output as it arrives.
        max_output: bytes of output after which it is given up.

    Raises:
        DeadlinePassed: it took longer.
        LinkLost: the other side fell silent, or the connection broke.
        TooMuchOutput: it wrote more than `max_output`.
    """
    began = time.monotonic() if started is None else started
    watch = _Watch(name, what, channel.get_transport(), wire, timeout_s, began)
    _request(channel, command)
    sender = _send(channel, stdin)
    try:
        stdout, stderr = _collect(channel, watch, sender, on_output, max_output)
        if not channel.status_event.wait(watch.left_s()):
            raise watch.too_long()
    finally:
        channel.close()
    if channel.exit_status < 0 and not channel.get_transport().is_active():
        raise LinkLost(f"{name}: the link broke while {watch.what} was running")
    return Completed(channel.exit_status, stdout, stderr)


def _request(channel: paramiko.Channel, command: str) -> None:
    """Asks for the command without waiting for yes: a refusal closes the channel, and is seen."""
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string(command)
    channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]


def _ping(transport: paramiko.Transport) -> None:
    """Asks for a sign of life: the other side must answer a request, even one it does not know."""
    message = paramiko.Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string("keepalive@openssh.com")
    message.add_boolean(True)
    transport._send_user_message(message)  # type: ignore[attr-defined]


@dataclass
class _Sender:
    fault: Exception | None = None


def _send(channel: paramiko.Channel, stdin: Input) -> _Sender:
    """Writes the input from a thread of its own: a full window must not keep us from reading."""
    sender = _Sender()

    def write() -> None:
        blocks = _blocks(stdin)
        while True:
            try:
                block = next(blocks, None)
            except (
                Exception
            ) as fault:  # the caller's file or generator failed: it hears so at the end
                sender.fault = fault
                channel.in_buffer.close()  # wakes the one who reads
                return
            try:
                if block is None:
                    channel.shutdown_write()
                    return
                channel.sendall(block)
            except (OSError, EOFError, paramiko.SSHException):
                return  # the command ended before it read everything; its exit code says why

    channel.settimeout(None)
    if stdin is None or (isinstance(stdin, bytes) and len(stdin) <= BLOCK):
        write()
    else:
        threading.Thread(target=write, name="ssh-stdin", daemon=True).start()
    return sender


def _blocks(stdin: Input) -> Iterator[bytes]:
    if stdin is None:
        return iter(())
    if isinstance(stdin, bytes):
        return iter([stdin]) if stdin else iter(())
    if hasattr(stdin, "read"):
        return iter(lambda: stdin.read(BLOCK), b"")
    return iter(stdin)


@dataclass
class _Watch:
    """Decides whether it is worth waiting on: the deadline, and whether the other side is alive."""

    name: str
    what: str
    transport: paramiko.Transport
    wire: Wire
    timeout_s: float
    began: float

    def __post_init__(self) -> None:
        self._pinged_at = self.began

    def left_s(self) -> float:
        return max(0.0, self.began + self.timeout_s - time.monotonic())

    def too_long(self) -> DeadlinePassed:
        return DeadlinePassed(f"{self.name}: {self.what} did not end within {self.timeout_s:g} s")

    def check(self) -> None:
        """Raises when there is nothing to wait for; asks for a sign of life when it is quiet."""
        if self.left_s() == 0.0:
            raise self.too_long()
        quiet = self.wire.silent_s
        if quiet >= DEAD_AFTER_S:
            self.transport.close()
            raise LinkLost(
                f"{self.name}: nothing was heard for {quiet:.0f} s while {self.what} was running"
            )
        now = time.monotonic()
        if quiet >= PING_AFTER_S and now - self._pinged_at >= PING_AFTER_S:
            self._pinged_at = now
            with contextlib.suppress(paramiko.SSHException, OSError):
                _ping(self.transport)


def _collect(
    channel: paramiko.Channel,
    watch: _Watch,
    sender: _Sender,
    on_output: Callable[[bytes], None] | None,
    max_output: int,
) -> tuple[bytes, bytes]:
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            watch.check()
            selector.select(min(watch.left_s(), PING_AFTER_S / 2))
            # Looked at before the buffers are emptied: what came before the end is then all there.
            ended = channel.eof_received or channel.closed
            while channel.recv_ready():
                piece = channel.recv(BLOCK)
                stdout += piece
                if on_output is not None:
                    on_output(piece)
            while channel.recv_stderr_ready():
                stderr += channel.recv_stderr(BLOCK)
            if len(stdout) + len(stderr) > max_output:
                raise TooMuchOutput(
                    f"{watch.name}: {watch.what} wrote more than {max_output} bytes"
                )
            if sender.fault:
                raise sender.fault
            if ended:
                return bytes(stdout), bytes(stderr)


class Lines:
    """Cuts pieces of output into lines for the one who watches.

    >>> seen: list[str] = []
    >>> with Lines(seen.append) as lines:
    ...     lines.feed(b"one\\ntw")
    ...     lines.feed(b"o")
    >>> seen
    ['one', 'two']
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rest:
            self._on_line(self._rest.decode(errors="replace"))

    def feed(self, piece: bytes) -> None:
        """Takes a piece, and hands on every line that it completes."""
        *full, self._rest = (self._rest + piece).split(b"\n")
        for line in full:
            self._on_line(line.decode(errors="replace"))
