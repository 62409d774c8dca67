"""Packages over the tower, the ramp unplugged: the second aircraft costs the hangar's mirror nothing."""

from __future__ import annotations

import pytest

from ci.story.world import World

pytestmark = pytest.mark.hosts

PACKAGE = "hello"
LOG = "/var/log/apt-cacher-ng/apt-cacher.log"


def fetched(world: World) -> tuple[int, int]:
    """Bytes of that package which the hangar had from its mirror, and gave to aircraft, so far."""
    lines = world.ssh("hangar", f"sudo grep '/{PACKAGE}_' {LOG} || true").splitlines()
    parts = [line.split("|") for line in lines]
    return tuple(sum(int(each[2]) for each in parts if each[1] == way) for way in "IO")  # type: ignore[return-value]


def test_the_second_aircraft_costs_the_mirror_nothing(world: World) -> None:
    seen = []
    for name in world.aircraft[:2]:
        world.ssh(name, "sudo apt-get -qq update", timeout_s=300)
        world.ssh(name, f"sudo apt-get -qq install -y --no-install-recommends {PACKAGE}")
        assert world.ssh(name, PACKAGE).startswith("Hello")
        world.ssh(name, f"sudo apt-get -qq purge -y {PACKAGE} && sudo apt-get clean")
        seen.append(fetched(world))
    (first_in, first_out), (second_in, second_out) = seen
    assert first_in > 10_000
    assert second_in == first_in
    assert second_out > first_out
