"""The world of a story is its lab, whatever fleet ops work on in that terminal."""

from __future__ import annotations

import pytest

from ci.story.world import World


def test_a_story_never_acts_on_the_fleet_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEET_INVENTORY", "/etc/fleet/production.yml")
    monkeypatch.setenv("TURNAROUND_KEYS", "/root/production-keys")
    monkeypatch.setenv("LAB_NAME", "another")
    world = World.of("story")
    assert world.environment["FLEET_INVENTORY"] == str(world.lab.inventory)
    assert world.environment["LAB_NAME"] == "story"
    assert "TURNAROUND_KEYS" not in world.environment
    assert "production" not in "".join(world.environment.values())
