"""The host that a table acts on: reached as ops reach it, by a way that can be cut, and seen apart."""

from __future__ import annotations

import contextlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import paramiko

import require
from ci.faults.way import Way
from ci.lab import Lab
from ci.story.teller import NotSo
from fleet.converge import on_host
from fleet.errors import FleetError, Offline
from fleet.report import Outcome, plain
from fleet.ssh import Connection, Deadlines, Endpoint
from require.result import Event, Result
from require.run import converge as engine

HOST = "EC-TAA"
Watch = Callable[[Event], None]


@dataclass
class UnderTest(ABC):
    """A bare host of a lab; each table makes of it what it needs (`settle`)."""

    lab: Lab
    _direct: Connection | None = None

    @property
    def key(self) -> paramiko.PKey:
        return paramiko.Ed25519Key.from_private_key_file(str(self.lab.ops_key))

    def endpoint(self, port: int = 0, **other: Any) -> Endpoint:
        """Returns where the host is, or with a port where a way to it begins."""
        host = self.lab.host(HOST)
        place = ("127.0.0.1", port) if port else (host.plan.first_contact, 22)
        values = {"user": "root", "key": self.key, "host_key": host.tree.host_key, **other}
        return Endpoint(HOST, *place, **values)

    @contextlib.contextmanager
    def way(self) -> Iterator[Way]:
        """A way to the host that can be cut."""
        with Way((self.lab.host(HOST).plan.first_contact, 22)) as way:
            yield way

    def connection(self, way: Way | None = None, **other: Any) -> Connection:
        """Returns ops' connection over this way, or straight; `other` is the endpoint's."""
        end = self.endpoint(way.port if way else 0, **other)
        return Connection(end, deadlines=Deadlines(5, 5, 5, 5))

    def operate(
        self,
        declared: require.Catalog,
        way: Way | None = None,
        *,
        check: bool = False,
        watch: Watch | None = None,
        **other: Any,
    ) -> Said:
        """Converges as `fab converge` does, and returns what ops are told.

        Args:
            declared: what the host is to be.
            way: goes over it; None goes straight.
            check: only looks.
            watch: sees each event before ops do.
            other: of the endpoint, where it is to be another one.
        """
        results: list[Result] = []

        def run(transport: require.Transport, catalog: require.Catalog, **more: Any) -> Result:
            told = more.pop("progress")

            def progress(event: Event) -> None:
                if watch:
                    watch(event)
                told(event)

            results.append(engine(transport, catalog, progress=progress, **more))
            return results[0]

        connection = self.connection(way, **other)
        try:
            outcome = on_host(connection, declared, lambda text: None, check=check, run=run)
        except FleetError as error:
            outcome = Outcome.of(HOST, error)
        finally:
            connection.close()
        return Said(outcome, results[0] if results else None)

    def shell(self, script: str, timeout_s: float = 60) -> str:
        """Runs a script as root on a connection apart from all that is cut; `NotSo` when it fails."""
        if self._direct is None:
            self._direct = Connection(self.endpoint())
        try:
            done = self._direct.shell("sh -es", script.encode(), timeout_s=timeout_s, what="a look")
        except Offline:
            self._direct.close()
            self._direct = None
            raise
        if done.exit:
            said = done.stderr.decode(errors="replace").strip()
            raise NotSo(f"{HOST}: {script[:60]!r} exited {done.exit}: {said}")
        return done.stdout.decode()

    def power(self, on: bool) -> None:
        """Cuts the power or gives it back."""
        if not on and self._direct is not None:
            self._direct.close()
            self._direct = None
        self.lab.power(HOST, on=on)

    def close(self) -> None:
        """Ends what this stand has beside the lab."""
        if self._direct is not None:
            self._direct.close()

    @abstractmethod
    def settle(self) -> None:
        """Makes the host what the table's rows begin with, and sees that it is."""

    @abstractmethod
    def mend(self) -> None:
        """Makes the host good again after a row that did not hold."""


class Acted(Protocol):
    """What the rows of a table act on, in a lab of its own."""

    def __init__(self, lab: Lab) -> None: ...
    def settle(self) -> None: ...
    def mend(self) -> None: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=Acted)


def later(seconds: float, then: Callable[[], object]) -> threading.Timer:
    """Does something in so many seconds, from a thread of its own, which is returned."""
    timer = threading.Timer(seconds, then)
    timer.daemon = True
    timer.start()
    return timer


@dataclass(frozen=True)
class Said:
    """What ops are told of one command, and the engine's own result where there is one."""

    outcome: Outcome
    result: Result | None = None

    @property
    def code(self) -> int:
        return int(self.outcome.code)

    @property
    def text(self) -> str:
        """What stands on ops' screen."""
        return "\n".join(plain(self.outcome))

    def expect(self, *words: str, code: int) -> None:
        """Raises `NotSo` when it ended otherwise, or does not say these words."""
        missing = [word for word in (HOST, *words) if word not in self.text]
        if self.code != code or missing:
            raise NotSo(
                f"expected exit {code}, and {missing} to be said, found exit {self.code}: {self.text}"
            )


@contextlib.contextmanager
def stand(name: str, kind: type[S]) -> Iterator[S]:
    """What a table acts on, in a lab of that name, made what it needs; the lab goes whatever happens."""
    lab = Lab.load(name)
    if lab.is_up:
        raise FleetError(
            f"the lab {name} stands already, and the tables take theirs down at the end",
            f"take it down first: LAB_NAME={name} ./inv lab.down",
        )
    try:
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # that links break is meant here
        lab.up(1)
        made = kind(lab)
        try:
            made.settle()
            yield made
        finally:
            made.close()
    finally:
        lab.down()
