"""Nobody notices a deploy: while it happens no request fails, and no answer is of two releases."""

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
        print(f"\n{DEPLOYS} deploys under load: {load.seen}")
    assert {one["result"] for one in load.releases} == {"confirmed"}
    assert load.seen["failed"] == []
    assert load.seen["mixed"] == []
    # All that was deployed was met by somebody: two editions of the app, and two of the pages.
    parts = [release.split(", ") for release in load.seen["releases"]]
    assert all(len({part[which] for part in parts}) >= 2 for which in (0, 1))
    assert load.longest("switch", "link") <= 0.05
