"""The cellular link as arithmetic, on a clock that the test holds."""

from __future__ import annotations

import random

import pytest

from ci.lab.errors import LabMisuse
from ci.lab.link import BUFFER_MIN_BYTES, HEADERS, Lane, LinkSettings


def lane(seed: int = 1) -> Lane:
    return Lane(random.Random(seed))


def test_a_link_without_limits_delivers_at_once():
    assert lane().admit(1400, 5.0, LinkSettings()) == 5.0


def test_half_of_the_round_trip_is_on_each_way():
    assert lane().admit(1400, 5.0, LinkSettings(rtt_ms=300)) == pytest.approx(5.15)


def test_the_rate_spaces_packets_that_come_together():
    way, link = lane(), LinkSettings(kbit=8)  # 1000 bytes a second
    size = 500 - HEADERS
    assert [way.admit(size, 0.0, link) for _ in range(3)] == pytest.approx([0.5, 1.0, 1.5])


def test_a_pause_is_not_saved_up():
    way, link = lane(), LinkSettings(kbit=8)
    way.admit(500 - HEADERS, 0.0, link)
    assert way.admit(500 - HEADERS, 100.0, link) == pytest.approx(100.5)


def test_over_time_the_rate_is_what_was_set():
    way, link = lane(), LinkSettings(kbit=10_000)
    last = max(way.admit(1222, 0.0, link) or 0 for _ in range(38))
    assert way.counters.bytes * 8 / last == pytest.approx(10_000_000)


def test_a_full_buffer_loses_what_comes_last():
    way, link = lane(), LinkSettings(kbit=100)
    results = [way.admit(972, 0.0, link) for _ in range(200)]
    carried = [result for result in results if result is not None]
    assert len(carried) * 1000 == pytest.approx(BUFFER_MIN_BYTES, abs=1001)
    assert way.counters.lost == 200 - len(carried)
    assert results[-1] is None


def test_jitter_delays_and_never_overtakes():
    way, link = lane(), LinkSettings(rtt_ms=100, jitter_ms=80)
    arrivals = [way.admit(100, index * 0.001, link) or 0 for index in range(500)]
    assert arrivals == sorted(arrivals)
    assert 0.05 <= arrivals[0] <= 0.13
    assert max(at - index * 0.001 for index, at in enumerate(arrivals)) <= 0.13


def test_loss_is_as_often_as_it_was_set():
    way, link = lane(), LinkSettings(loss=10)
    gone = sum(way.admit(100, 0.0, link) is None for _ in range(10_000))
    assert 850 <= gone <= 1150
    assert way.counters.lost == gone


def test_a_cut_link_carries_nothing():
    way = lane()
    assert way.admit(100, 0.0, LinkSettings(up=False)) is None
    assert (way.counters.packets, way.counters.lost) == (0, 1)


def test_after_a_cut_the_queue_is_forgotten():
    way, link = lane(), LinkSettings(kbit=8)
    for _ in range(5):
        way.admit(972, 0.0, link)
    way.clear()
    assert way.admit(972, 1.0, link) == pytest.approx(2.0)


def test_bytes_are_counted_with_their_headers():
    way = lane()
    way.admit(100, 0.0, LinkSettings())
    assert way.counters.bytes == 100 + HEADERS


def test_only_what_is_given_changes():
    link = LinkSettings(rtt_ms=300, loss=1).changed(kbit=2000, loss=None)
    assert link == LinkSettings(rtt_ms=300, loss=1, kbit=2000)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"loss": 101}, "--loss is 101; expected 0 to 100"),
        ({"rtt_ms": -1}, "--rtt-ms is -1; expected 0 or more"),
        ({"kbit": float("nan")}, "--kbit is nan"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, float], sentence: str):
    with pytest.raises(LabMisuse, match=sentence):
        LinkSettings().changed(**change)
