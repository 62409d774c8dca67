"""Today's newspaper while a film transfers: how soon it is aboard, beside rsync alone on the same link.

Over a link as at a far gate; first undisturbed, then with the power cut three times while the film comes.
"""

from __future__ import annotations

from ci.bench.sync import gate
from ci.bench.table import Row
from ci.story import urgent
from ci.story.urgent import Seen

MB = 1_000_000
PAPER = 10 * MB
FILM, SMALL_FILM = 200 * MB, 60 * MB


def rows(full: bool) -> list[Row]:
    """Measures and returns the table's rows; with `full` the film is one of 200 MB.

    Raises:
        FleetError: the fleet cannot be had.
        NotSo: the newspaper or the film does not come.
    """
    world = gate.fleet()
    name = world.aircraft[0]
    with gate.quiet(world, world.aircraft[1:]):
        calm = urgent.told(world, name, SMALL_FILM, PAPER, 0, seed=1)
        cut = urgent.told(world, name, FILM if full else SMALL_FILM, PAPER, 3, seed=3)
    return [*table(calm, "no cut"), *table(cut, "3 power cuts")]


def table(seen: Seen, when: str) -> list[Row]:
    """Returns the rows of one telling."""
    goal = 1.1 * seen.plain_s + 10
    first = seen.order.index(seen.paper.item) < seen.order.index(seen.film.item)
    return [
        Row(f"{when}: newspaper of {seen.paper.size / MB:g} MB, rsync alone", seen.plain_s, "s"),
        Row(f"{when}: newspaper, published to shown", seen.paper_s, "s", round(goal, 1)),
        Row(f"{when}: newspaper shown before the film", float(first), "", 1, at_least=True),
        Row(f"{when}: film of {seen.film.size / MB:g} MB, published to shown", seen.film_s, "s"),
        Row(f"{when}: received over the link", seen.received / MB, "MB"),
        Row(f"{when}: received ÷ film and newspaper", seen.wire, "×"),
    ]
