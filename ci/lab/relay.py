"""The cellular link of one aircraft on the wire: a UDP relay between its modem and the hangar."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ci.lab.errors import LabFault
from ci.lab.link import Lane, LinkSettings

Address = tuple[str, int]
# asyncio wakes up to a millisecond late; what is due within this goes out with the same wake-up.
EARLY_S = 0.0005
SOCKET_BUFFER = 4 << 20


class _Way(asyncio.DatagramProtocol):
    """Takes packets at one end, holds them for as long as the lane says, and sends them on."""

    def __init__(self, relay: Relay, lane: Lane, send: Callable[[bytes], None]) -> None:
        self.relay = relay
        self.lane = lane
        self.send = send
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.loop = asyncio.get_running_loop()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.relay.heard(self, addr)
        now = self.loop.time()
        due = self.lane.admit(len(data), now, self.relay.settings)
        if due is None:
            return
        if due <= now and not self.waiting:
            self.send(data)
            return
        self.waiting.append((due, data))
        if self.timer is None:
            self.timer = self.loop.call_at(due, self._deliver)

    def error_received(self, exc: Exception) -> None:
        # ICMP "refused": the hangar's WireGuard is not up yet. A radio would not know either.
        pass

    def _deliver(self) -> None:
        self.timer = None
        now = self.loop.time() + EARLY_S
        while self.waiting and self.waiting[0][0] <= now:
            self.send(self.waiting.popleft()[1])
        if self.waiting:
            self.timer = self.loop.call_at(self.waiting[0][0], self._deliver)

    def clear(self) -> None:
        self.waiting.clear()
        self.lane.clear()
        if self.timer:
            self.timer.cancel()
            self.timer = None


class Relay:
    """Plays the cellular link of one aircraft.

    Args:
        settings: how the link is at first.
        chance: where loss and jitter come from.
    """

    def __init__(self, settings: LinkSettings, chance: random.Random | None = None) -> None:
        self.settings = settings
        chance = chance or random.Random()
        self._aircraft: Address | None = None
        self._up = _Way(self, Lane(chance), self._to_hangar)
        self._down = _Way(self, Lane(chance), self._to_aircraft)
        self._modem: asyncio.DatagramTransport | None = None
        self._hangar: asyncio.DatagramTransport | None = None

    async def open(self, listen: Address, hangar: Address) -> None:
        """Starts to listen for the aircraft, and to speak to the hangar from a port of its own.

        Raises:
            LabFault: the port is taken.
        """
        loop = asyncio.get_running_loop()
        try:
            self._modem, _ = await loop.create_datagram_endpoint(
                lambda: self._up, local_addr=listen, family=socket.AF_INET
            )
        except OSError as error:
            raise LabFault(
                f"UDP port {listen[1]} on {listen[0]} is not free ({error.strerror})",
                "`ss -lunp` shows which program has it; end that and try again",
            ) from None
        self._hangar, _ = await loop.create_datagram_endpoint(
            lambda: self._down, remote_addr=hangar, family=socket.AF_INET
        )
        for transport in (self._modem, self._hangar):
            raw = transport.get_extra_info("socket")
            # The machine's limit on buffers is meant for strangers; a burst must not be lost here.
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                raw.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)

    def heard(self, way: asyncio.DatagramProtocol, source: Address) -> None:
        """Remembers where the aircraft's modem is; answers go there."""
        if way is self._up:
            self._aircraft = source

    def change(self, settings: LinkSettings) -> None:
        """Puts new settings in force; a cut loses what was under way."""
        self.settings = settings
        if not settings.up:
            self._up.clear()
            self._down.clear()

    def status(self) -> dict[str, Any]:
        """Returns settings and counters, `sent` by the aircraft and `received` by it."""
        return {
            **asdict(self.settings),
            "sent": self._up.lane.counters.as_dict(),
            "received": self._down.lane.counters.as_dict(),
        }

    def close(self) -> None:
        """Stops listening."""
        for transport in (self._modem, self._hangar):
            if transport:
                transport.close()

    def _to_hangar(self, data: bytes) -> None:
        if self._hangar:
            self._hangar.sendto(data)

    def _to_aircraft(self, data: bytes) -> None:
        if self._modem and self._aircraft:
            self._modem.sendto(data, self._aircraft)
