"""The one process of a lab that stays: it plays every cellular link and every avionics bus.

`python -m ci.lab.daemon DIRECTORY` listens on DIRECTORY/control.sock until it is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from ci.lab import control
from ci.lab.avionics import Avionics
from ci.lab.errors import LabFault
from ci.lab.link import LinkSettings
from ci.lab.relay import Relay
from fleet.errors import FleetError

Thing = TypeVar("Thing")


class Daemon:
    """Serves the requests: `serve`, `link`, `fly`, `status`, `ping`, `stop`; each returns its reply."""

    def __init__(self) -> None:
        self.relays: dict[str, Relay] = {}
        self.buses: dict[str, Avionics] = {}
        self.stopping = asyncio.Event()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Does what a request asks and returns the reply.

        Raises:
            FleetError: it cannot be done; the sentence says why.
        """
        match request:
            case {"do": "ping"}:
                return {"pid": os.getpid()}
            case {"do": "stop"}:
                self.stopping.set()
                return {}
            case {"do": "status"}:
                return {"aircraft": {name: self._status(name) for name in self.relays}}
            case {"do": "serve", "host": name, "listen": listen, "to": to, "link": link}:
                return await self._serve(name, tuple(listen), tuple(to), LinkSettings(**link))
            case {"do": "link", "host": name, "change": changes}:
                relay = _find(self.relays, name)
                relay.change(relay.settings.changed(**changes))
                return relay.status()
            case {"do": "fly", "host": name, "flight": flight, "window": window, "speed": speed}:
                return _find(self.buses, name).fly(Path(flight), window, float(speed))
        raise LabFault(f"the lab's daemon does not know the request {request.get('do')!r}")

    async def _serve(
        self, name: str, listen: tuple[str, int], to: tuple[str, int], link: LinkSettings
    ) -> dict[str, Any]:
        if name not in self.relays:
            relay = Relay(link)
            await relay.open(listen, to)
            self.relays[name] = relay
            self.buses[name] = Avionics()
        return {"tty": self.buses[name].path}

    def _status(self, name: str) -> dict[str, Any]:
        return {"link": self.relays[name].status(), "flying": self.buses[name].status()}

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection."""
        reply: dict[str, Any]
        try:
            request = json.loads(await reader.readline())
            reply = await self.answer(request)
        except FleetError as error:
            reply = {"error": error.what, "remedy": error.remedy}
        except (ValueError, TypeError) as error:
            reply = {"error": f"the lab's daemon could not read the request: {error}"}
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def run(self, directory: Path) -> None:
        """Listens until it is stopped, and then closes every link and bus."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        (directory / control.SOCKET).unlink(missing_ok=True)
        with control.short_path(directory) as path:
            server = await asyncio.start_unix_server(
                self.converse, path=path, limit=control.MAX_LINE
            )
        async with server:
            await self.stopping.wait()
        for relay in self.relays.values():
            relay.close()
        for bus in self.buses.values():
            bus.close()


def _find(things: dict[str, Thing], name: str) -> Thing:
    if name not in things:
        raise LabFault(f"{name}: the lab's daemon has no such aircraft", "./inv lab.up")
    return things[name]


async def _main(directory: Path) -> None:
    await Daemon().run(directory)


def main(argv: Sequence[str]) -> int:
    """Runs the daemon of the lab in the folder that is the first argument."""
    asyncio.run(_main(Path(argv[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
