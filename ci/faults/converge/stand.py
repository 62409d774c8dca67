"""The host that the table `converge` acts on, at a generation of what is declared for it."""

from __future__ import annotations

from dataclasses import dataclass

import require
from ci.faults.converge import wanted
from ci.faults.converge.seen import PROGRAM, Seen
from ci.faults.under_test import Said, UnderTest
from ci.story.teller import NotSo, eventually
from fleet.runs import undo_on

QUIET_S = 60.0


@dataclass
class Stand(UnderTest):
    """A bare host; `generation` is what it is now, and a row makes it the next one."""

    generation: int = 1

    def undo(self) -> Said:
        """Undoes the host's last run as `fab undo` does, and returns what ops are told."""
        connection = self.connection()
        try:
            return Said(undo_on(connection, lambda text: None))
        finally:
            connection.close()

    def seen(self) -> Seen:
        """Looks at the host."""
        return Seen.of(self.shell(f"exec /usr/bin/python3 - <<'END'\n{PROGRAM}\nEND\n"))

    def quiet(self) -> Seen:
        """Waits until no run is left on the host, and looks at it."""

        def look() -> Seen | None:
            found = self.seen()
            return None if found.runs or found.processes else found

        seen = eventually("no run is left on the host", look, within_s=QUIET_S, every_s=0.1)
        assert isinstance(seen, Seen)
        return seen

    def next(self) -> tuple[int, require.Catalog]:
        """Returns the next generation and what it declares."""
        generation = self.generation + 1
        return generation, wanted.catalog(generation)

    def settle(self) -> None:
        """Makes the host wholly of the present generation, and sees that it is."""
        said = self.operate(wanted.catalog(self.generation))
        said.expect(code=0)
        seen = self.quiet()
        if not seen.is_of(self.generation) or seen.left:
            raise NotSo(f"the host could not be settled: {seen}")

    def mend(self) -> None:
        """Makes the host good again after a row that did not hold; what is mounted goes with the power."""
        self.power(on=False)
        self.power(on=True)
        self.generation += 1
        self.settle()
