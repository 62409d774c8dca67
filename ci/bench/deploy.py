"""`inv bench.deploy`: twenty deploys and a roll-back while a cabin asks without a pause.

On a hangar and an aircraft of a lab of its own. Who asks and who answers share this machine: the waits are
longer than a box's that has its processors to itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from ci.bench.table import Row
from ci.story import provision
from ci.story.teller import Teller
from ci.story.under_load import Load, deploys
from ci.story.world import World
from fleet.errors import FleetError

LAB = "deploys"
DEPLOYS = 20


def run() -> list[Row]:
    """Measures and returns the table's rows.

    Raises:
        FleetError: the lab cannot be had, or does not become a fleet.
    """
    world = World.of(LAB)
    try:
        if not Teller(Console(stderr=True, highlight=False)).tell(provision.steps(world, 1)):
            raise FleetError(f"what fab said at last:\n{world.log_tail()}")
        with tempfile.TemporaryDirectory() as folder:
            return rows(deploys(world, world.aircraft[0], DEPLOYS, Path(folder)))
    finally:
        world.lab.down()


def rows(load: Load) -> list[Row]:
    """Returns the table's rows for what was seen."""
    first = next(one for one in load.releases if one["kind"] == "onboard")
    bad = [one for one in (*load.releases, *load.back) if one["result"] != "confirmed"]
    return [
        Row("a line of the app changed, on the link", first["bytes"] / 1000, "kB", 64),
        Row("releases that were not confirmed", len(bad), "", 0),
        Row("answers meanwhile", load.seen["requests"], "", 10_000, at_least=True),
        Row("answers that failed", load.seen["failures"], "", 0),
        Row("answers of two releases", load.seen["mixtures"], "", 0),
        Row("the longest wait for an answer", load.seen["slowest_ms"], "ms"),
        Row("switch, first rename to last, the longest", load.switch_s * 1000, "ms", 50),
        Row("roll-back, until the release before serves", load.back_s, "s", 5),
        Row("roll-back, until all is tidy", max(one["seconds"] for one in load.back), "s"),
    ]
