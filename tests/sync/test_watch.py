"""A transfer is looked at while it runs: how fast it is, and what makes it stop."""

from __future__ import annotations

from pathlib import Path

from sync.manifest import File
from sync.watch import RATE_AFTER_S, Watch


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(content: Path, size: int, here: int = 0) -> tuple[Watch, Seconds, Path, list[float]]:
    seconds, asked = Seconds(), []
    staged = content / "staging" / ("a" * 64)
    staged.parent.mkdir(parents=True, exist_ok=True)
    staged.write_bytes(bytes(here))

    def overtaken(left_s: float) -> bool:
        asked.append(left_s)
        return False

    coming = [File("f", "a" * 64, size)]
    watch = Watch(
        content,
        coming,
        overtaken,
        lambda left_s: left_s > 50,
        lambda: False,
        lambda: False,
        clock=seconds,
    )
    return watch, seconds, staged, asked


def test_how_long_it_takes_still_is_reckoned_from_what_came(tmp_path: Path) -> None:
    watch, seconds, staged, asked = watched(tmp_path, 1000)
    assert not watch()
    staged.write_bytes(bytes(200))
    seconds.now = 4
    assert not watch()
    assert asked == [float("inf"), 16.0]


def test_what_cannot_come_in_time_is_stopped_when_that_is_certain(tmp_path: Path) -> None:
    watch, seconds, staged, _ = watched(tmp_path, 1000)
    staged.write_bytes(bytes(10))
    seconds.now = RATE_AFTER_S
    assert not watch(), "a link that has just come up begins slowly"
    seconds.now += 1
    assert watch()
    assert watch.late


def test_while_what_is_here_already_is_looked_through_nothing_is_late(tmp_path: Path) -> None:
    watch, seconds, staged, _ = watched(tmp_path, 1000, here=500)
    for seconds.now in (1.0, RATE_AFTER_S * 5):
        assert not watch(), "nothing came because nothing of it was asked for yet"
    staged.write_bytes(bytes(900))
    seconds.now += 10
    assert not watch()
    assert watch.rate() == 40.0, "a rate is that of what comes"


def test_what_was_given_back_did_not_come(tmp_path: Path) -> None:
    watch, seconds, staged, asked = watched(tmp_path, 1000, here=500)
    staged.write_bytes(bytes(400))
    seconds.now = 1
    assert not watch()
    assert asked == [float("inf")]
    assert watch.came == 0


def test_a_file_that_grows_beyond_its_size_is_stopped(tmp_path: Path) -> None:
    watch, _, staged, _ = watched(tmp_path, 1000)
    staged.write_bytes(bytes(1001))
    assert watch()
    assert watch.grew is not None
