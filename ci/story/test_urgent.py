"""Today's newspaper is published while a film is on its way over a bad link and the power goes."""

from __future__ import annotations

import pytest

from ci.story import urgent
from ci.story.world import World

pytestmark = pytest.mark.hosts

FILM, PAPER = 60_000_000, 4_000_000
CUTS = 3


def test_the_newspaper_is_first_and_the_film_is_whole(world: World) -> None:
    seen = urgent.told(world, world.aircraft[0], FILM, PAPER, CUTS, seed=11)
    assert seen.order == [seen.paper.item, seen.film.item]
    assert seen.cuts == CUTS
    # In a suite that does other things at the same time; the figure itself is inv bench.sync's.
    assert seen.paper_s < 2 * seen.plain_s + 20
    # What is more than the bytes themselves: the tunnel's headers, heartbeats, what a cut had under way.
    assert seen.received < 1.2 * (FILM + PAPER) + (CUTS + 1) * 2**20
