"""The lab's encoder against words that another implementation (PyARINC429) made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ci.lab import arinc

# Made by PyARINC429, which cuts towards zero where we round: a value between two steps may differ
# in the last one.
ORACLE = [
    (0o310, 60.17, 180, 20, 0x65593313),
    (0o311, -24.945, 180, 20, 0xFDC85D93),
    (0o312, 450, 4096, 15, 0xE1C20053),
    (0o324, -4.5, 180, 14, 0x7F99C02B),
    (0o203, -1000, 131072, 17, 0x7FE0C0C1),
    (0o205, 0.78, 4.096, 16, 0x630C00A1),
    (0o213, -56.5, 512, 11, 0xFE3C00D1),
]


def data(word: int, bits: int) -> int:
    """The data field as a signed number of steps."""
    raw = word >> (28 - bits) & (1 << (bits + 1)) - 1
    return raw - (1 << (bits + 1)) if raw >> bits else raw


@pytest.mark.parametrize(("label", "value", "scale", "bits", "expected"), ORACLE)
def test_words_are_those_of_another_encoder(label, value, scale, bits, expected):
    word = arinc.bnr(label, value, scale, bits)
    assert word & 0xFF == expected & 0xFF, "label"
    assert word >> 29 & 3 == expected >> 29 & 3, "SSM"
    assert abs(data(word, bits) - data(expected, bits)) <= 1
    assert word.bit_count() % 2 == 1, "parity is odd"


def test_what_can_be_said_exactly_is_the_same_word():
    exact = [row for row in ORACLE if row[0] in (0o312, 0o203, 0o205, 0o213, 0o311)]
    assert [arinc.bnr(*row[:4]) for row in exact] == [row[4] for row in exact]


def test_an_unknown_value_says_no_computed_data():
    word = arinc.bnr(0o325, None, 180, 14)
    assert word >> 29 & 3 == 0b01
    assert word >> 10 & 0x7FFFF == 0


def test_a_value_beyond_full_scale_stays_at_the_end():
    assert data(arinc.bnr(0o312, 9999, 4096, 15), 15) == (1 << 15) - 1
    assert data(arinc.bnr(0o312, -9999, 4096, 15), 15) == -(1 << 15)


def test_a_heading_of_270_degrees_goes_as_minus_90():
    assert arinc.quantity("heading_deg", 270) == arinc.bnr(0o314, -90, 180, 15)


def test_weight_on_wheels_is_bit_20_of_label_270():
    ground, air = arinc.weight_on_wheels(True), arinc.weight_on_wheels(False)
    assert ground >> 19 & 1 == 1
    assert air >> 19 & 1 == 0
    assert ground & 0xFF == 0b00011101, "270 octal is 10111000, read backwards"


def test_the_date_is_decimal_digits_from_bit_29_down():
    word = arinc.date(datetime(2026, 11, 23, tzinfo=UTC))
    digits = [word >> 27 & 3, word >> 23 & 15, word >> 22 & 1]
    digits += [word >> 18 & 15, word >> 14 & 15, word >> 10 & 15]
    assert digits == [2, 3, 1, 1, 2, 6]


def test_a_frame_carries_the_check_value_of_its_crc():
    # CRC-16/CCITT-FALSE of "123456789" is 29B1 in every catalogue of CRCs.
    assert arinc.binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1
    frame = arinc.words_frame(1, [0x7FE0C0C1])
    assert frame[:5] == bytes.fromhex("a55a010104")
    assert frame[5:9] == bytes.fromhex("c1c0e07f")
    assert len(frame) == 11
