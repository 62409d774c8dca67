"""The bytes of one SSH connection: what went, what came, and when something last came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol


class Stream(Protocol):
    """What paramiko needs of a socket; a channel through the hangar is one too."""

    def send(self, data: bytes, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Wire:
    """A socket that counts.

    `turns` is how often the direction changed from sending to receiving: in the handshake, where
    each side speaks in turn, that is the number of round trips.

    Args:
        inner: the socket, or the channel through the hangar.
        clock: seconds that never go back.
    """

    def __init__(self, inner: Stream, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock
        self._lock = threading.Lock()
        self._speaking = False
        self.sent = 0
        self.received = 0
        self.turns = 0
        self.heard_at = clock()

    def send(self, data: bytes) -> int:
        count = self._inner.send(data)
        with self._lock:
            self.sent += count
            self._speaking = True
        return count

    def recv(self, size: int) -> bytes:
        data = self._inner.recv(size)
        with self._lock:
            self.received += len(data)
            self.turns += self._speaking
            self._speaking = False
            self.heard_at = self._clock()
        return data

    @property
    def silent_s(self) -> float:
        """Seconds since the other side was last heard."""
        return self._clock() - self.heard_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
