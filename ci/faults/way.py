"""A way to a host that can be cut: a TCP proxy that counts bytes, and acts at a chosen one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

Address = tuple[str, int]
_PIECE = 1 << 14
_AT_ONCE = struct.pack(
    "ii", 1, 0
)  # closing then resets the connection, as a link that is gone does


class Way:
    """One way to one address; `with Way(address) as way: connect("127.0.0.1", way.port)`.

    Args:
        target: where it leads.

    `up` and `down` count the bytes that were let through towards the host and back.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self.up = self.down = 0
        self.is_cut = self.is_dropped = self.is_silent = False
        self._flipped = -1
        self._marks: dict[str, tuple[int, Callable[[], object]]] = {}
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> Way:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.cut()

    def at_up(self, count: int, then: Callable[[], object]) -> None:
        """Does something when so many bytes went to the host; the ones after them wait for it."""
        self._marks["up"] = (count, then)

    def at_down(self, count: int, then: Callable[[], object]) -> None:
        """Does something when so many bytes came back."""
        self._marks["down"] = (count, then)

    def flip_up(self, count: int) -> None:
        """Changes one bit of the byte that goes to the host after so many."""
        self._flipped = count

    def cut(self) -> None:
        """Resets all that goes this way, at both ends, and lets nothing in any more."""
        with self._lock:
            self.is_cut = True
            _reset(self._server, *self._open)  # who is cut off must not find it open

    def drop(self) -> None:
        """Resets all that goes this way now, at both ends; what comes after it is let in."""
        with self._lock:
            self.is_dropped = True
            _reset(*self._open)
            self._open.clear()

    def silence(self) -> None:
        """Loses every byte from now on, and says so to neither end."""
        self.is_silent = True

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(self.target, timeout=10)
            except OSError:
                return
            far.settimeout(None)
            with self._lock:
                self._open += [near, far]
            if self.is_cut:
                self.cut()
                return
            for way in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                while piece and not self.is_silent:
                    piece = self._pass(piece, sink, name)
            sink.shutdown(socket.SHUT_WR)

    def _pass(self, piece: bytes, sink: socket.socket, name: str) -> bytes:
        """Lets through what may go before the next mark, and returns the rest."""
        so_far: int = getattr(self, name)
        count, then = self._marks.get(name, (so_far + len(piece) + 1, None))
        now = piece[: max(0, count - so_far)]
        sink.sendall(_flip(now, self._flipped - so_far) if name == "up" else now)
        setattr(self, name, so_far + len(now))
        if then is not None and so_far + len(now) >= count:
            del self._marks[name]
            then()
        return piece[len(now) :]


def _flip(piece: bytes, at: int) -> bytes:
    """The piece with one bit of a byte changed, where it has that byte."""
    if not 0 <= at < len(piece):
        return piece
    return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]


def _reset(*lines: socket.socket) -> None:
    for each in lines:
        # Shut down first: a close alone does not wake whoever reads from it.
        with contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            each.shutdown(socket.SHUT_RD)
        each.close()
