"""What the table of synchronisation acts on: two ends on this machine, and hosts once a row asks for them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ci.bench.sync.server import serving
from ci.faults.sync import nodes as made
from ci.faults.sync.fleet import Fleet
from ci.faults.sync.hand import FAKETIME, Worker
from ci.faults.sync.nodes import Node, Nodes, Server
from ci.lab import Lab, shell
from ci.story.teller import NotSo
from fleet import packages

NAME = "EC-TAA"
DISK = "48M"


@dataclass
class Ends:
    """A hangar and an aircraft, with what works for them.

    Args:
        server: where their databases are.
        folder: where their folders are made; they go with it.
        number: tells these ends from those before.
        disks: whether each has a file system of its own, which may become full.
    """

    server: Server
    folder: Path
    number: int = 0
    disks: bool = False
    nodes: Nodes = field(init=False)
    aircraft: Node = field(init=False)
    _workers: dict[str, Worker] = field(init=False, default_factory=dict)
    _all: ExitStack = field(init=False, default_factory=ExitStack)

    def __post_init__(self) -> None:
        home = self.folder / str(self.number)
        if self.disks:
            for name in (made.HANGAR, NAME):
                self._all.enter_context(_disk(home / name / "state"))
        self.nodes = Nodes(self.server, home, f"ends{self.number}")
        self._all.callback(self.nodes.close)
        self.aircraft = self.nodes.add(NAME)

    def worker(self, fault: str) -> Worker:
        """Returns who works: another one where it is the clock that goes wrong."""
        kind = "clocked" if fault == "clock" else "plain"
        if kind not in self._workers:
            if kind == "clocked":
                packages.ensure(["libfaketime"], purpose="the table of synchronisation")
                assert Path(FAKETIME).exists(), FAKETIME
            worker = Worker(self._clock if kind == "clocked" else None)
            self._workers[kind] = self._all.enter_context(worker)
        return self._workers[kind]

    @property
    def _clock(self) -> Path:
        return self.folder / f"clock-{self.number}"

    def present(self) -> None:
        """Brings the clocks back to the present."""
        if "clocked" in self._workers:
            self._clock.write_text("+0d\n")

    def settle(self) -> None:
        """Lands until all is quiet."""
        left = self.nodes.quiet(self.worker("kill"))
        if left:
            raise NotSo(f"before the fault: {left}")

    @contextlib.contextmanager
    def yesterday(self, node: Node) -> Iterator[Callable[[], None]]:
        """Keeps a node's database as it is now, and gives what puts that in the place of the later one."""
        kept = f"{node.database}_yesterday"
        made.copy(self.server, node.database, kept, [node.engine])

        def restore() -> None:
            node.engine.dispose()
            made.drop(self.server, node.database)
            made.create(self.server, node.database, kept)

        try:
            yield restore
        finally:
            made.drop(self.server, kept)

    def clone(self, name: str) -> Node:
        """Adds a box whose database is a copy of the aircraft's, and whose disk is empty otherwise."""
        clone = self.nodes.add(name)
        clone.engine.dispose()
        made.drop(self.server, clone.database)
        made.copy(self.server, self.aircraft.database, clone.database, [self.aircraft.engine])
        return clone

    def close(self) -> None:
        """Removes them."""
        self._all.close()
        shutil.rmtree(self.folder / str(self.number), ignore_errors=True)


@contextlib.contextmanager
def _disk(place: Path) -> Iterator[None]:
    """Mounts an ext4 of its own, on a loop device."""
    packages.ensure(["e2fsprogs"], purpose="the table of synchronisation")
    place.mkdir(parents=True)
    image = place.with_suffix(".img")
    shell.run(["truncate", f"--size={DISK}", str(image)])
    shell.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", str(image)])
    shell.run(["mount", "-o", "loop", str(image), str(place)])
    try:
        shell.run(["rmdir", str(place / "lost+found")])
        yield
    finally:
        shell.run(["umount", str(place)])


@dataclass
class Stand:
    """Two ends on this machine; a row that needs hosts has the lab's."""

    lab: Lab
    _all: ExitStack = field(init=False, default_factory=ExitStack)
    _ends: Ends | None = None
    _number: int = 0

    @cached_property
    def server(self) -> Server:
        """The server of all databases here."""
        return self._all.enter_context(serving())

    @cached_property
    def folder(self) -> Path:
        return Path(self._all.enter_context(tempfile.TemporaryDirectory()))

    @cached_property
    def fleet(self) -> Fleet:
        """Real hosts: a hangar and an aircraft, provisioned and released when the first row needs them."""
        return Fleet.of(self.lab)

    @property
    def ends(self) -> Ends:
        """Two ends that other rows have left in good order."""
        if self._ends is None:
            self._number += 1
            self._ends = Ends(self.server, self.folder, self._number, disks=True)
        return self._ends

    def fresh(self) -> Ends:
        """Two ends that nothing was done to."""
        self._without_ends()
        return self.ends

    def settle(self) -> None:
        """Nothing is made before a row needs it."""

    def mend(self) -> None:
        """Makes the next row begin well: with two new ends, and with hosts that have power and a link."""
        self._without_ends()
        if "fleet" in vars(self):
            self.fleet.mend()

    def _without_ends(self) -> None:
        if self._ends is not None:
            self._ends.close()
            self._ends = None

    def close(self) -> None:
        """Takes everything away."""
        self._without_ends()
        self._all.close()
