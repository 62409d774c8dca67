"""What tests of several rooms share: the lab's hosts, provisioned in this run and taken down after it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from rich.console import Console

from ci.lab import Lab
from ci.story.demo import whole
from ci.story.teller import Teller
from ci.story.world import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A lab of this run alone: bare hosts, through the whole story; down again at the end."""
    lab = Lab.load(os.environ.get("LAB_NAME") or f"t{os.getpid()}")
    if lab.is_up:
        pytest.fail(
            f"the lab {lab.name} stands already, and a test run takes its lab down at the end: "
            f"take it down first (LAB_NAME={lab.name} ./inv lab.down), or name another in LAB_NAME"
        )
    told = World.of(lab.name)
    try:
        console = Console(highlight=False, width=110)
        if not Teller(console).tell(whole(told)):
            # The log goes with the lab.
            pytest.fail(f"the story did not hold; what fab said at last:\n{told.log_tail()}")
        yield told
    finally:
        lab.down()
