"""The relay on this machine's own loopback: aircraft → relay → hangar and back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from ci.lab.errors import LabFault
from ci.lab.link import LinkSettings
from ci.lab.relay import Relay

LOOPBACK = ("127.0.0.1", 0)
WAIT_S = 2.0


def port() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(LOOPBACK)
    opened.setblocking(False)
    return opened


@pytest.fixture
def aircraft() -> Iterator[socket.socket]:
    with port() as opened:
        yield opened


@pytest.fixture
def hangar() -> Iterator[socket.socket]:
    with port() as opened:
        yield opened


def free_port() -> tuple[str, int]:
    with port() as opened:
        return opened.getsockname()


async def receive(end: socket.socket) -> tuple[bytes, tuple[str, int]]:
    loop = asyncio.get_running_loop()
    return await asyncio.wait_for(loop.sock_recvfrom(end, 2000), WAIT_S)


def test_it_carries_both_ways_and_counts(aircraft: socket.socket, hangar: socket.socket):
    async def story() -> dict[str, dict[str, int]]:
        relay, listen = Relay(LinkSettings(rtt_ms=2)), free_port()
        await relay.open(listen, hangar.getsockname())
        aircraft.sendto(b"hello", listen)
        asked, back = await receive(hangar)
        assert asked == b"hello"
        hangar.sendto(b"welcome", back)
        answer, source = await receive(aircraft)
        assert (answer, source) == (b"welcome", listen)
        relay.close()
        return relay.status()

    seen = asyncio.run(story())
    assert seen["sent"] == {"packets": 1, "bytes": 33, "lost": 0}
    assert seen["received"] == {"packets": 1, "bytes": 35, "lost": 0}


def test_order_is_kept_when_some_wait_and_some_do_not(
    aircraft: socket.socket, hangar: socket.socket
):
    async def story() -> list[bytes]:
        relay, listen = Relay(LinkSettings(kbit=80_000, jitter_ms=3)), free_port()
        await relay.open(listen, hangar.getsockname())
        for number in range(20):
            aircraft.sendto(bytes([number]), listen)
        got = [(await receive(hangar))[0] for _ in range(20)]
        relay.close()
        return got

    assert asyncio.run(story()) == [bytes([number]) for number in range(20)]


def test_a_cut_loses_what_is_under_way(aircraft: socket.socket, hangar: socket.socket):
    async def story() -> bytes:
        relay, listen = Relay(LinkSettings(rtt_ms=60_000)), free_port()
        await relay.open(listen, hangar.getsockname())
        aircraft.sendto(b"on its way", listen)
        while relay.status()["sent"]["packets"] == 0:
            await asyncio.sleep(0)
        relay.change(relay.settings.changed(up=False))
        relay.change(relay.settings.changed(up=True, rtt_ms=0))
        aircraft.sendto(b"after the cut", listen)
        got = (await receive(hangar))[0]
        relay.close()
        return got

    assert asyncio.run(story()) == b"after the cut"


def test_a_taken_port_is_a_sentence(hangar: socket.socket):
    async def story() -> None:
        await Relay(LinkSettings()).open(hangar.getsockname(), hangar.getsockname())

    with pytest.raises(LabFault, match=r"UDP port \d+ on 127.0.0.1 is not free"):
        asyncio.run(story())
