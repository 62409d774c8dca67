"""The recording, and how it is played into a serial port."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from ci.lab import arinc, feed

FLIGHT = Path(feed.__file__).parent / "flights" / "AFR34ZG.csv"
NOON = datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC)
# Published aerodrome reference points.
LFPG, LFBO = (49.0097, 2.5479), (43.6293, 1.3678)


def miles(a, b):
    return math.hypot((a[0] - b[0]) * 60, (a[1] - b[1]) * 60 * math.cos(math.radians(a[0])))


@pytest.fixture(scope="module")
def flight():
    return feed.load(FLIGHT)


def test_the_recording_goes_from_paris_to_toulouse(flight):
    first, last = flight[0], flight[-1]
    assert miles((first.lat, first.lon), LFPG) < 2
    assert miles((last.lat, last.lon), LFBO) < 2
    assert first.on_ground
    assert last.on_ground


def test_it_takes_off_once_and_lands_once(flight):
    changes = [
        (a.on_ground, b.on_ground) for a, b in pairwise(flight) if a.on_ground != b.on_ground
    ]
    assert changes == [(True, False), (False, True)]


def test_no_second_is_missing_and_none_jumps(flight):
    assert [row.t for row in flight] == list(range(4778))
    for a, b in pairwise(flight):
        assert miles((a.lat, a.lon), (b.lat, b.lon)) < 0.3, f"at {a.t} s"


def test_its_speed_is_how_far_it_moved(flight):
    """Ground speed and position come from different frames: over a minute of cruise they agree."""
    for start in range(1500, 3900, 300):
        minute = flight[start : start + 61]
        flown = miles((minute[0].lat, minute[0].lon), (minute[-1].lat, minute[-1].lon))
        said = sum(row.ground_speed_kt for row in minute[:-1]) / 3600
        assert flown == pytest.approx(said, rel=0.03)


def test_temperature_follows_the_air_up(flight):
    assert flight[2800].sat_c == pytest.approx(-50, abs=6), "35 000 ft"
    assert flight[4200].sat_c == pytest.approx(14, abs=8), "5 000 ft on a summer morning"
    assert flight[0].sat_c is None
    steps = [
        abs(b.sat_c - a.sat_c)
        for a, b in pairwise(flight)
        if a.sat_c is not None and b.sat_c is not None
    ]
    assert max(steps) < 0.5, "no second jumps"


def test_a_window_is_cut_by_seconds():
    rows = feed.load(FLIGHT, "600:603")
    assert [row.t for row in rows] == [600, 601, 602, 603]
    assert feed.load(FLIGHT, "4770:")[-1].t == 4777


@pytest.mark.parametrize("window", ["600", "a:b", "1:2:3"])
def test_a_window_that_is_none_is_named(window):
    with pytest.raises(ValueError, match="expected FROM:TO in seconds"):
        feed.load(FLIGHT, window)


def test_a_window_beyond_the_recording_says_how_long_it_is():
    with pytest.raises(ValueError, match="the recording has 0 to 4777 s"):
        feed.load(FLIGHT, "9000:9100")


def labels(data: bytes) -> Counter[tuple[int, int]]:
    """Counts (channel, label) in a run of whole frames."""
    seen: Counter[tuple[int, int]] = Counter()
    while data:
        kind, channel, length = data[2], data[3], data[4]
        if kind == arinc.WORDS:
            for at in range(5, 5 + length, 4):
                seen[channel, int(f"{data[at]:08b}"[::-1], 2)] += 1
        data = data[5 + length + 2 :]
    return seen


def second_of_frames(row) -> bytes:
    return b"".join(feed.frames(row, ms, "AFR34ZG", NOON) for ms in range(0, 1000, 50))


def test_each_label_comes_at_its_own_rate(flight):
    seen = labels(second_of_frames(flight[2000]))
    assert seen[arinc.INERTIAL, 0o312] == 20
    assert seen[arinc.INERTIAL, 0o314] == 20
    assert seen[arinc.INERTIAL, 0o310] == 5
    assert seen[arinc.AIR_DATA, 0o213] == 2
    assert seen[arinc.INERTIAL, 0o233] == 1


def test_a_second_of_bus_fits_the_line_ten_times(flight):
    assert len(second_of_frames(flight[2000])) * 10 < 115200 / 10 * 1.1


class Stop(Exception):
    """Ends a feed that would go on for ever."""


def played(rows, ticks, speed=1.0):
    """What was written in so many ticks, on a clock that only sleeping moves."""
    now, written = [100.0], []

    async def sleep(seconds):
        now[0] += seconds
        if len(written) == ticks:
            raise Stop

    async def run():
        with pytest.raises(Stop):
            await feed.play(
                written.append,
                rows,
                speed,
                flight="AFR34ZG",
                clock=lambda: now[0],
                sleep=sleep,
                utc=lambda: NOON,
            )

    asyncio.run(run())
    return written, now[0] - 100.0


def test_ticks_keep_true_time(flight):
    written, took = played(flight[:10], 40)
    assert len(written) == 40
    assert took == pytest.approx(2.0)


def test_after_the_last_row_it_goes_on_sending_it(flight):
    written, _ = played(flight[4770:], 20 * 20)
    second = b"".join(written[-20:])
    assert labels(second)[arinc.AIR_DATA, 0o270] == 5
    assert second == b"".join(written[-40:-20])


def test_a_faster_flight_keeps_the_rate_on_the_wire(flight):
    slow, _ = played(flight[2000:2100], 60)
    fast, _ = played(flight[2000:2100], 60, speed=10)
    assert labels(b"".join(slow)) == labels(b"".join(fast))
    assert feed.at(flight[2000:2100], 60 * 0.05 * 10).t == 2030


def test_between_two_rows_a_heading_turns_the_short_way(flight):
    north_west = feed.Row(0, 0, 0, 0, 0, 350, None, None, None, True)
    north_east = feed.Row(1, 0, 0, 0, 0, 10, None, None, None, True)
    assert feed.between(north_west, north_east, 0.5).heading_deg == pytest.approx(0)
