"""Frames out of a stream of bytes, broken ones included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ci.lab import arinc
from onboard_app.avionics.framing import Frame, Framer

ONE = arinc.words_frame(0, [0x7FE0C0C1])
TWO = arinc.words_frame(1, [0xE1C20053, 0x65593313])


def test_two_frames_in_one_piece():
    frames = Framer().feed(ONE + TWO)
    assert [(f.kind, f.channel, len(f.payload)) for f in frames] == [(1, 0, 4), (1, 1, 8)]


def test_byte_by_byte_gives_the_same():
    framer = Framer()
    assert [f for byte in ONE + TWO for f in framer.feed(bytes([byte]))] == Framer().feed(ONE + TWO)


def test_a_frame_with_a_flipped_bit_is_dropped_and_the_next_one_read():
    broken = bytearray(ONE)
    broken[7] ^= 0x10
    framer = Framer()
    assert len(framer.feed(bytes(broken) + TWO)) == 1
    assert framer.bad == 1


def test_a_wrong_length_does_not_swallow_the_frames_behind_it():
    broken = bytearray(ONE)
    broken[4] = 9  # reaches into the next frame
    framer = Framer()
    assert framer.feed(bytes(broken) + TWO + TWO) == Framer().feed(TWO + TWO)


def test_noise_between_frames_is_counted_and_skipped():
    framer = Framer()
    assert len(framer.feed(b"\x00\xa5\xa5noise" + ONE)) == 1
    assert framer.skipped == 8


def test_half_a_sync_at_the_end_waits_for_the_other_half():
    framer = Framer()
    framer.feed(b"noise\xa5")
    assert len(framer.feed(ONE[1:])) == 1


def test_a_payload_may_hold_the_sync():
    payload = b"\xa5\x5a\xa5\x5a"
    assert Framer().feed(arinc.frame(1, 0, payload)) == [Frame(1, 0, payload)]


@given(st.binary(max_size=80), st.lists(st.integers(1, 20), max_size=12))
def test_no_noise_ever_stops_it(noise, cuts):
    """After any bytes, 300 quiet ones later (longer than a frame can be) it reads again."""
    stream = noise + b"\x00" * 300 + ONE
    framer, frames, at = Framer(), [], 0
    for cut in [*cuts, len(stream)]:
        frames += framer.feed(stream[at : at + cut])
        at += cut
    frames += framer.feed(stream[at:])
    assert frames[-1] == Framer().feed(ONE)[0]
