"""Hosts for the checks, reached as ops reach them."""

from __future__ import annotations

import pytest
import testinfra
from testinfra.host import Host

from ci.story.world import World


def connect(world: World, name: str) -> Host:
    """A testinfra host over the lab's ssh configuration; commands run through sudo."""
    config = world.lab.ssh_config()
    return testinfra.get_host(f"ssh://{name}?sudo=true", ssh_config=str(config))


@pytest.fixture(scope="session")
def hangar(world: World) -> Host:
    return connect(world, "hangar")


@pytest.fixture(scope="session", params=[0, 1], ids=["EC-TAA", "EC-TAB"])
def aircraft(world: World, request: pytest.FixtureRequest) -> Host:
    return connect(world, world.aircraft[request.param])


@pytest.fixture(scope="session", params=["hangar", "EC-TAA", "EC-TAB"])
def host(world: World, request: pytest.FixtureRequest) -> Host:
    return connect(world, request.param)
