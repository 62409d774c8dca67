"""An aircraft that is off while ops converge the fleet: it waits at the hangar, and nobody types again."""

from __future__ import annotations

import pytest

from ci.story.teller import eventually
from ci.story.world import World

pytestmark = pytest.mark.hosts

ALTERED = "/etc/systemd/journald.conf.d/turnaround.conf"
HEARD_S = 90


def waits(world: World, name: str) -> object:
    (row,) = [each for each in world.fab_json("status") if each["name"] == name]
    return row["wanted"]


def test_what_was_queued_is_applied_at_the_next_heartbeat(world: World) -> None:
    name = world.aircraft[1]
    as_declared = world.ssh(name, f"cat {ALTERED}")
    world.ssh(name, f"echo '# by hand' | sudo tee -a {ALTERED} && sync")
    world.lab.power(name, on=False)
    try:
        said = world.fab_json("converge", "--target", "all", expect=3)
        outcomes = {each["host"]: each for each in said}
        assert outcomes[name]["status"] == "off-line"
        assert "is applied at its next heartbeat" in outcomes[name]["detail"]
        assert outcomes["hangar"]["status"] == "no change"
        seen = waits(world, name)
        assert isinstance(seen, dict)
        assert outcomes[name]["queued"] == seen["revision"]
    finally:
        world.lab.power(name, on=True)
    eventually(
        f"{name} is as declared", lambda: waits(world, name) is None, within_s=HEARD_S, every_s=2
    )
    assert world.ssh(name, f"cat {ALTERED}") == as_declared
    journals = world.ssh(name, "sudo sh -c 'cat /var/lib/turnaround/runs/*/journal.jsonl'")
    assert "via the hangar" in journals
    world.fab("converge", "--target", name, "--check")


def test_looking_queues_nothing(world: World) -> None:
    name = world.aircraft[1]
    world.lab.link(name, up=False)
    try:
        said = world.fab("converge", "--target", name, "--check", expect=3)
        assert "--check queues nothing" in said
        assert waits(world, name) is None
    finally:
        world.lab.link(name, up=True)
