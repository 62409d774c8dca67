"""A campaign on real aircraft: a canary, then all; one that is off lands later, and nobody types again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.story.flight import RECORDING
from ci.story.teller import eventually
from ci.story.world import World

pytestmark = pytest.mark.hosts

AT_THE_STAND = "0:840"
DONE_S = 180


def campaign(world: World, name: str) -> dict[str, Any]:
    (seen,) = world.fab_json("campaign.status", "--name", name)
    return seen


def await_state(world: World, name: str, aircraft: str, state: str) -> None:
    def look() -> bool:
        found = {each["name"]: each for each in campaign(world, name)["aircraft"]}
        return bool(found[aircraft]["state"] == state)

    eventually(f"{aircraft} is {state}", look, within_s=DONE_S, every_s=2)


def await_silence(world: World, name: str, away: str, here: str) -> None:
    """The canary is who was heard last: not one that was switched off a moment ago."""

    def look() -> bool:
        ago = {each["name"]: each["heard_s_ago"] for each in campaign(world, name)["aircraft"]}
        return bool(ago[here] < ago[away])

    eventually(f"{here} is heard after {away}", look, within_s=60)


def start(world: World, source: Path, name: str, edition: int) -> None:
    (source / "style.json").write_text(f'{{"edition": {edition}}}')
    world.fab("package-maps", "--name", "andes", "--source", str(source))
    words = ["--artifact", "maps-andes", "--waves", "canary,100%", "--name", name]
    world.fab("campaign.start", *words)


def edition(world: World, aircraft: str) -> str:
    return world.ssh(aircraft, "cat /opt/turnaround/current/maps-andes/style.json")


def test_one_that_is_off_gets_it_when_it_lands(world: World, tmp_path: Path) -> None:
    here, away = world.aircraft
    for name in (here, away):
        world.lab.fly(name, RECORDING, window=AT_THE_STAND, speed=1)
    start(world, tmp_path, "first", 1)
    for name in (here, away):
        await_state(world, "first", name, "confirmed")
    world.fab("campaign.close", "--name", "first")
    world.lab.power(away, on=False)
    try:
        await_silence(world, "first", away, here)
        start(world, tmp_path, "second", 2)
        await_state(world, "second", here, "confirmed")
        assert campaign(world, "second")["wave"] == "100%"
    finally:
        world.lab.power(away, on=True)
        world.lab.fly(away, RECORDING, window=AT_THE_STAND, speed=1)
    await_state(world, "second", away, "confirmed")
    assert {edition(world, name) for name in (here, away)} == {'{"edition": 2}'}
    world.fab("campaign.rollback", "--name", "second", "--wave", "100%")
    await_state(world, "second", away, "rolled back")
    assert edition(world, away) == '{"edition": 1}'
    assert edition(world, here) == '{"edition": 2}'
    world.fab("campaign.abort", "--name", "second")
