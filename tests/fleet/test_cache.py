"""One cache for all that is costly to have again, where this machine's environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.story import media
from fleet import build_wheels
from fleet.cache import cache_folder


def test_the_cache_is_where_the_environment_says() -> None:
    assert cache_folder({"TURNAROUND_CACHE": "/c"}) == Path("/c")
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/turnaround")
    assert cache_folder({"HOME": "/h"}) == Path("/h/.cache/turnaround")


def test_wheels_and_films_are_kept_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNAROUND_CACHE", str(tmp_path))
    assert tmp_path in build_wheels.wheelhouse().folder.parents
    assert media.cache() == tmp_path / "media"
