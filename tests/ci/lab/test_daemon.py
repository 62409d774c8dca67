"""The lab's daemon: its answers, its socket, and the avionics cable."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ci.lab import control
from ci.lab.avionics import Avionics
from ci.lab.daemon import Daemon
from ci.lab.errors import LabFault
from fleet.errors import FleetError

FLIGHT = Path(__file__).parents[3] / "ci/lab/flights/AFR34ZG.csv"
LINK = {"up": True, "rtt_ms": 0, "jitter_ms": 0, "loss": 0, "kbit": 0}


def serve() -> dict[str, Any]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        listen = list(probe.getsockname())
    to = ["127.0.0.1", 9]
    return {"do": "serve", "host": "EC-TAA", "listen": listen, "to": to, "link": LINK}


def ask(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    async def story() -> list[dict[str, Any]]:
        daemon = Daemon()
        return [await daemon.answer(request) for request in requests]

    return asyncio.run(story())


def test_serving_an_aircraft_twice_gives_the_same_cable():
    request = serve()
    first, second = ask(request, request)
    assert first == second
    assert first["tty"].startswith("/dev/pts/")


def test_a_changed_link_is_answered_with_settings_and_counters():
    *_, seen = ask(serve(), {"do": "link", "host": "EC-TAA", "change": {"rtt_ms": 300}})
    assert (seen["rtt_ms"], seen["up"], seen["sent"]["bytes"]) == (300, True, 0)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"do": "link", "host": "EC-TAZ", "change": {}}, "no such aircraft"),
        ({"do": "dance"}, "does not know the request 'dance'"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(request_: dict[str, Any], sentence: str):
    with pytest.raises(FleetError, match=sentence):
        ask(request_)


def test_it_is_reached_however_deep_the_checkout_lies(tmp_path: Path):
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)

    async def story() -> tuple[dict[str, Any], bool]:
        running = asyncio.create_task(Daemon().run(deep))
        while not (deep / control.SOCKET).exists():
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(None, control.call, deep, {"do": "ping"})
        refused = loop.run_in_executor(None, control.call, deep, {"do": "dance"})
        with pytest.raises(LabFault, match="does not know"):
            await refused
        await loop.run_in_executor(None, control.call, deep, {"do": "stop"})
        await running
        return answer, control.alive(deep)

    assert asyncio.run(story()) == ({"pid": os.getpid()}, False)


def test_no_daemon_is_a_sentence_with_the_remedy(tmp_path: Path):
    with pytest.raises(LabFault, match=r"does not answer .*\n.*lab.up starts it again"):
        control.call(tmp_path, {"do": "ping"})


def test_what_is_flown_arrives_at_the_far_end_of_the_cable():
    async def story() -> bytes:
        bus = Avionics()
        far = os.open(bus.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        bus.fly(FLIGHT, "0:10", 1.0)
        arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(far, lambda: _read(far, arrived))
        got = await asyncio.wait_for(arrived, 2)
        asyncio.get_running_loop().remove_reader(far)
        os.close(far)
        bus.close()
        return got

    assert asyncio.run(story()).startswith(b"\xa5\x5a")


def _read(far: int, arrived: asyncio.Future[bytes]) -> None:
    if not arrived.done():
        arrived.set_result(os.read(far, 4096))


def test_a_bus_without_a_listener_goes_on():
    bus = Avionics()
    for _ in range(100):
        bus._write(b"\xa5" * 1000)
    bus.close()


def test_a_window_without_rows_is_a_sentence():
    async def story() -> None:
        bus = Avionics()
        try:
            bus.fly(FLIGHT, "999999:", 1.0)
        finally:
            bus.close()

    with pytest.raises(LabFault, match="no row in the window"):
        asyncio.run(story())
