"""Words into readings. The words are another implementation's (PyARINC429), not our encoder's."""

from __future__ import annotations

import struct

import pytest

from ci.lab import arinc
from onboard_app.avionics.words import Decoder, Reading, Status, label_of


def decode(channel: int, word: int) -> Reading | None:
    return Decoder().word(channel, word)


@pytest.mark.parametrize(
    ("channel", "word", "name", "value", "step"),
    [
        (1, 0x65593313, "latitude", 60.17, 180 / 2**20),
        (1, 0xFDC85D93, "longitude", -24.945, 180 / 2**20),
        (1, 0xE1C20053, "ground_speed", 450.0, 4096 / 2**15),
        (1, 0x7F99C02B, "pitch", -4.5, 180 / 2**14),
        (0, 0x7FE0C0C1, "altitude", -1000.0, 1),
        (0, 0x630C00A1, "mach", 0.78, 4.096 / 2**16),
        (0, 0xFE3C00D1, "outside_temperature", -56.5, 512 / 2**11),
    ],
)
def test_known_words(channel, word, name, value, step):
    reading = decode(channel, word)
    assert reading is not None
    assert reading.name == name
    assert reading.value == pytest.approx(value, abs=step)
    assert reading.status is Status.NORMAL


def test_the_label_is_the_low_byte_backwards():
    assert label_of(0x65593313) == 0o310


def test_even_parity_gives_no_reading():
    decoder = Decoder()
    assert decoder.word(0, 0x7FE0C0C1 ^ 1 << 20) is None
    assert decoder.bad == 1


def test_a_label_belongs_to_its_channel():
    decoder = Decoder()
    assert decoder.word(1, 0x7FE0C0C1) is None, "203 is on the air data computer's channel only"
    assert decoder.unknown == 1


@pytest.mark.parametrize(
    ("ssm", "status"),
    [
        (0b00, Status.FAILURE),
        (0b01, Status.NO_COMPUTED_DATA),
        (0b10, Status.TEST),
    ],
)
def test_a_bnr_word_that_is_not_normal_has_no_value(ssm, status):
    assert decode(0, arinc.word(0o203, 0x1234 << 11, ssm)) == Reading("altitude", None, status)


def test_a_discrete_word_says_failure_with_the_other_pattern():
    assert decode(0, arinc.word(0o270, 1 << 19, 0b11)) == Reading(
        "weight_on_wheels", None, Status.FAILURE
    )
    assert decode(0, arinc.weight_on_wheels(True)) == Reading(
        "weight_on_wheels", True, Status.NORMAL
    )


@pytest.mark.parametrize("degrees", [0.0, 90.0, 179.99, 180.0, 269.4, 359.99])
def test_headings_are_0_to_360(degrees):
    reading = decode(1, arinc.quantity("heading_deg", degrees))
    assert reading is not None
    assert (reading.value - degrees + 180) % 360 - 180 == pytest.approx(0, abs=180 / 2**15)
    assert 0 <= reading.value < 360


def test_a_date_with_a_digit_above_nine_is_bad():
    decoder = Decoder()
    assert decoder.word(1, arinc.word(0o260, 0xA << 23, 0)) is None
    assert decoder.bad == 1


def test_a_clock_beyond_the_day_is_bad():
    assert decode(1, arinc.word(0o150, 25 << 23, 0b11)) is None


def test_a_payload_cut_in_the_middle_of_a_word_gives_the_whole_ones():
    decoder = Decoder()
    payload = struct.pack("<I", 0x7FE0C0C1) + b"\x01\x02"
    assert len(list(decoder.words(0, payload))) == 1
    assert decoder.bad == 1
