"""A release that is spoilt once it serves, and nobody near: the aircraft returns, and later says why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from ci.story.teller import eventually
from ci.story.under_load import revision_with
from ci.story.world import TOP, World

pytestmark = pytest.mark.hosts

HEALTH = "common/health.py"
ASKED = '    @health.get("/health")\n    def show() -> ResponseReturnValue:\n'
SPOILT = """\
        if (Path("/opt/turnaround/current/onboard").resolve()) == Path(sys.prefix):
            raise ValueError("spoilt on purpose")
"""
RETURNS_S = 60
HEARD_S = 90


def test_an_aircraft_returns_by_itself_and_the_hangar_hears_why(
    world: World, tmp_path: Path
) -> None:
    name = world.aircraft[1]
    before = health(world, name)
    text = (TOP / HEALTH).read_text()
    assert ASKED in text
    revision = revision_with({HEALTH: text.replace(ASKED, ASKED + SPOILT)}, tmp_path / "index")
    current = world.lab.host(name).tree.root / "opt/turnaround/current/onboard"
    assert before["revision"][:12] in str(current.readlink())
    with ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(
            world.fab_anyhow, "deploy-aircraft", "--target", name, "--rev", revision
        )
        eventually(
            "it is switched to",
            lambda: revision[:12] in str(current.readlink()),
            within_s=300,
            every_s=0.02,
        )
        world.lab.link(name, up=False)
        try:
            assert deploying.result(timeout=240).returncode == 3
            eventually("it has returned", lambda: health(world, name) == before, within_s=RETURNS_S)
            assert before["revision"][:12] in str(current.readlink())
        finally:
            world.lab.link(name, up=True)

    def told() -> bool:
        (row,) = [each for each in world.fab_json("status") if each["name"] == name]
        returned = row["returned"] or {}
        return revision[:12] in returned.get("version", "") and "spoilt" in returned["reason"]

    eventually("the hangar has heard why", told, within_s=HEARD_S, every_s=2)
    assert "was returned from: /health" in world.fab("status")


def health(world: World, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(f"{world.portal(name)}/health", timeout=20).json()
    return answer
