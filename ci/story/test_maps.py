"""Maps on real aircraft: packaged, shipped, changed, gone back; what is aboard does not travel twice."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from ci.story.world import World

pytestmark = pytest.mark.hosts

CURRENT = "/opt/turnaround/current/maps-iberia"
TILES = 3_000_000


def test_maps_travel_once_and_go_back(world: World, tmp_path: Path) -> None:
    name = world.aircraft[0]
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles/world.pmtiles").write_bytes(secrets.token_bytes(TILES))
    # Of its own: what another bundle brought already would not travel.
    one, two = (f'{{"edition": "{secrets.token_hex(4)}"}}' for _ in range(2))
    (tmp_path / "style.json").write_text(one)
    first = shipped(world, name, tmp_path)
    assert first["files"] == 2
    assert first["bytes"] > TILES
    (tmp_path / "style.json").write_text(two)
    second = shipped(world, name, tmp_path)
    assert second["files"] == 1
    assert second["bytes"] < 50_000
    assert world.ssh(name, f"cat {CURRENT}/style.json") == two
    size = world.ssh(name, f"stat --format=%s {CURRENT}/tiles/world.pmtiles")
    assert int(size) == TILES
    world.fab("rollback", "--target", name, "--kind", "maps-iberia")
    assert world.ssh(name, f"cat {CURRENT}/style.json") == one


def shipped(world: World, name: str, source: Path) -> dict[str, Any]:
    world.fab("package-maps", "--name", "iberia", "--source", str(source))
    (said,) = world.fab_json("deploy-maps-to-server", "--target", name, "--name", "iberia")
    (release,) = said["releases"]
    assert release["result"] == "confirmed"
    found: dict[str, Any] = release
    return found
