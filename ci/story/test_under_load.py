"""Nobody notices a deploy, or a way back: no request fails meanwhile, and no answer is of two releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.story.under_load import deploys
from ci.story.world import World

pytestmark = pytest.mark.hosts

DEPLOYS = 4


def test_no_request_fails_and_none_is_of_two_releases(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load = deploys(world, world.aircraft[0], DEPLOYS, tmp_path)
    with capsys.disabled():
        print(f"\n{DEPLOYS} deploys and a roll-back under load: {load.seen}")
        print(f"a switch took {load.switch_s * 1000:.0f} ms, the way back {load.back_s:.1f} s")
    assert {one["result"] for one in (*load.releases, *load.back)} == {"confirmed"}
    assert load.seen["failed"] == []
    assert load.seen["mixed"] == []
    # All that was deployed was met by somebody: two editions of the app, and two of the pages.
    parts = [release.split(", ") for release in load.seen["releases"]]
    assert all(len({part[which] for part in parts}) >= 2 for which in (0, 1))
    assert load.switch_s <= 0.05
