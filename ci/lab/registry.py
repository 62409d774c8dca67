"""Which labs this machine has: one file each in /run, so that all checkouts share out its subnets."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ci.lab.addresses import SLOTS
from ci.lab.errors import LabFault
from fleet.aboard import disk

ROOT = Path("/run/turnaround/labs")


@dataclass(frozen=True)
class Entry:
    """One lab of this machine.

    Args:
        name: the lab's name.
        slot: which subnets it has.
        directory: its folder, in the checkout that started it.
        ip_forward: whether the machine forwarded packets ("0" or "1") before the first lab.
    """

    name: str
    slot: int
    directory: str
    ip_forward: str


class Registry:
    """The labs of one machine.

    Args:
        root: the folder of the entries.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    def entries(self) -> list[Entry]:
        """Returns all labs, by name."""
        return [
            Entry(**json.loads(path.read_text())) for path in sorted(self.root.glob("[a-z]*.json"))
        ]

    def get(self, name: str) -> Entry | None:
        """Returns the lab with this name, or None."""
        return next((entry for entry in self.entries() if entry.name == name), None)

    def claim(
        self,
        name: str,
        directory: Path,
        *,
        ip_forward: str,
        taken: Callable[[int], bool] = lambda slot: False,
        preferred: int | None = None,
    ) -> Entry:
        """Enters a lab and gives it subnets; a lab that this folder has already keeps its own.

        Args:
            name: the lab's name.
            directory: the lab's folder.
            ip_forward: the machine's setting now.
            taken: whether something else on the machine uses a slot's subnet.
            preferred: the slot that the lab's trees were made for, if there are any.

        Raises:
            LabFault: another checkout has a lab of this name, or no subnet is free.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if mine := self.get(name):
                self.check_owner(mine, directory)
                if mine.directory != str(directory):
                    # Its checkout is gone: the subnets stay with the name.
                    mine = replace(mine, directory=str(directory))
                    self._write(mine)
                return mine
            others = self.entries()
            used = {entry.slot for entry in others}
            wished = [] if preferred is None else [preferred]
            free = (slot for slot in (*wished, *SLOTS) if slot not in used and not taken(slot))
            slot = next(free, None)
            if slot is None:
                raise LabFault(
                    f"no subnet is free for the lab {name}: 10.100.0.0/16 to 10.199.0.0/16 are in use",
                    "take a lab down with ./inv lab.down; `ip route` shows what else is there",
                )
            before = others[0].ip_forward if others else ip_forward
            entry = Entry(name, slot, str(directory), before)
            self._write(entry)
            return entry

    def release(self, name: str) -> Entry | None:
        """Strikes a lab out.

        Returns:
            Its entry when it was the machine's last lab (its settings can be put back), or None.
        """
        if not self.root.is_dir():
            return None
        with self._locked():
            entry = self.get(name)
            (self.root / f"{name}.json").unlink(missing_ok=True)
            return entry if entry and not self.entries() else None

    @staticmethod
    def check_owner(entry: Entry, directory: Path) -> None:
        """Refuses a lab that was started from another checkout that still exists.

        Raises:
            LabFault: it was, with where.
        """
        if entry.directory != str(directory) and Path(entry.directory).is_dir():
            checkout = Path(entry.directory).parent.parent
            raise LabFault(
                f"a lab called {entry.name} is already up, started from {checkout}",
                f"take it down there (cd {checkout} && LAB_NAME={entry.name} ./inv lab.down), "
                "or give this one another name: LAB_NAME=lab2 ./inv …",
            )

    def _write(self, entry: Entry) -> None:
        disk.write(self.root / f"{entry.name}.json", [json.dumps(asdict(entry)).encode() + b"\n"])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
