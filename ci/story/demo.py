"""`./inv demo`: the whole story on a terminal, then what moved, how long it took, and where to look."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from ci.story import flight, provision, publish
from ci.story.publish import EDITOR
from ci.story.teller import Step, Teller
from ci.story.world import World

AIRCRAFT = 2
FAILED = 4


def whole(world: World, aircraft: int = AIRCRAFT) -> Iterator[Step]:
    """Every step of the story, in order; later ones are made when the hosts they name exist."""
    yield from provision.steps(world, aircraft)
    yield from publish.steps(world)
    yield from flight.steps(world)


def main() -> int:
    """Tells the story in the lab that LAB_NAME names; returns the exit code."""
    world = World.of(os.environ.get("LAB_NAME") or "lab")
    console = Console(highlight=False)
    console.print(f"[bold]One turnaround[/bold], on real hosts, in the lab {world.lab.name}")
    started = time.monotonic()
    before = world.link_bytes() if world.lab.is_up else {}
    if not Teller(console).tell(whole(world)):
        if world.lab.is_up:
            console.print(
                "\nThe story stops here. The hosts are left as they are: look with ./inv lab.status "
                f"and ./inv lab.ssh HOST; what fab said is in .lab/{world.lab.name}/story.log"
            )
        return FAILED
    _close(console, world, before, time.monotonic() - started)
    return 0


def _close(
    console: Console, world: World, before: dict[str, tuple[int, int]], seconds: float
) -> None:
    moved = Table(box=None, pad_edge=False)
    for column in ("aircraft", "sent", "received"):
        moved.add_column(column, justify="left" if column == "aircraft" else "right")
    for name, (sent, received) in world.link_bytes().items():
        was_sent, was_received = before.get(name, (0, 0))
        moved.add_row(
            name, f"{(sent - was_sent) / 1e6:.2f} MB", f"{(received - was_received) / 1e6:.2f} MB"
        )
    console.print("\n[bold]What moved over the cellular links[/bold]")
    console.print(moved)
    console.print(f"\nTold in {seconds:.0f} s. Everything is left running:\n")
    console.print(f"  fleet page and CMS  {world.portal('hangar')}/")
    console.print(f"    sign in as {EDITOR} with {world.memory['editor_password']}")
    for name in world.aircraft:
        console.print(f"  portal of {name:<10}{world.portal(name)}/")
    console.print("\n  ./fab status      who is where, how far behind")
    console.print("  ./inv lab.status  hosts, addresses and links")
    console.print("  ./inv lab.down    take it all away")
