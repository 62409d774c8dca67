"""A slow link for TCP: a proxy on the loopback that holds every byte for half a round trip each way.

What it adds is the wait for an established connection. The opening handshake stays between the client
and the proxy, for all that are compared alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType

Address = tuple[str, int]
_PIECE = 1 << 16


class Delay:
    """One slow way to one address; `with Delay(address, 0.3) as slow: connect("127.0.0.1", slow.port)`.

    Args:
        target: where it leads.
        rtt_s: seconds that a question and its answer take more.
    """

    def __init__(self, target: Address, rtt_s: float) -> None:
        self.target = target
        self.rtt_s = rtt_s
        self.port = 0
        self.bytes = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._open: list[asyncio.StreamWriter] = []
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Delay:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in self._open:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        self._open += [writer, far_writer]
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, piece = await under_way.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
            writer.close()

        delivering = asyncio.ensure_future(deliver())
        # The far end may go: what is under way still arrives.
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                self.bytes += len(piece)
                under_way.put_nowait((self._loop.time() + self.rtt_s / 2, piece))
        under_way.put_nowait((self._loop.time() + self.rtt_s / 2, b""))
        with contextlib.suppress(ConnectionError):
            await delivering
