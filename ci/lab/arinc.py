"""The lab's side of the avionics bus: engineering values into ARINC 429 words and serial frames.

This is the simulator's half. It shares no table with onboard_app.avionics on purpose: a label that
is wrong on one side then shows as a wrong value instead of cancelling out.

A word as a 32-bit integer with bit 1 as the least significant (ARINC 429 numbers bits from 1):

    32  parity, odd over the whole word
    31-30  SSM, what the value is worth
    29-11  data; BNR is two's complement with the sign in bit 29
    10-9   SDI (a 20-bit BNR uses these two for data instead)
    8-1    label, its octal digits read from bit 1 to bit 8: bit-reversed against the integer
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

AIR_DATA, INERTIAL = 0, 1
WORDS, DISCRETES = 1, 2

# SSM of BNR words; BCD and discrete words say "normal" with 0.
NORMAL_BNR, NORMAL_OTHER, NO_COMPUTED_DATA = 0b11, 0b00, 0b01

WEIGHT_ON_WHEELS = 0o270
WEIGHT_ON_WHEELS_BIT = 20
UTC, DATE = 0o150, 0o260
FLIGHT_NUMBER = (0o233, 0o234, 0o235, 0o236)


@dataclass(frozen=True)
class Bnr:
    """How one binary quantity travels: its label, full scale, significant bits, transmit period."""

    channel: int
    label: int
    scale: float
    bits: int
    period_ms: int


# Full scales and significant bits: research on the public ADC and IRS formulas; the periods lie
# within the published intervals and are multiples of 50 ms, the feed's tick.
QUANTITIES: dict[str, Bnr] = {
    "altitude_ft": Bnr(AIR_DATA, 0o203, 131072, 17, 50),
    "mach": Bnr(AIR_DATA, 0o205, 4.096, 16, 100),
    "tas_kt": Bnr(AIR_DATA, 0o210, 2048, 15, 100),
    "sat_c": Bnr(AIR_DATA, 0o213, 512, 11, 500),
    "lat": Bnr(INERTIAL, 0o310, 180, 20, 200),
    "lon": Bnr(INERTIAL, 0o311, 180, 20, 200),
    "ground_speed_kt": Bnr(INERTIAL, 0o312, 4096, 15, 50),
    "heading_deg": Bnr(INERTIAL, 0o314, 180, 15, 50),
    "pitch_deg": Bnr(INERTIAL, 0o324, 180, 14, 50),
    "roll_deg": Bnr(INERTIAL, 0o325, 180, 14, 50),
    "wind_speed_kt": Bnr(INERTIAL, 0o315, 256, 8, 100),
    "wind_direction_deg": Bnr(INERTIAL, 0o316, 180, 8, 100),
}
ANGLES = frozenset({"heading_deg", "wind_direction_deg"})


def word(label: int, data: int, ssm: int) -> int:
    """Puts label, data (already at its place in bits 9 to 29) and SSM together, with odd parity.

    >>> hex(word(0o203, 0, NORMAL_OTHER))
    '0x800000c1'
    """
    reversed_label = int(f"{label:08b}"[::-1], 2)
    value = reversed_label | data & 0x1FFFFF00 | ssm << 29
    return value | (value.bit_count() + 1) % 2 << 31


def bnr(label: int, value: float | None, scale: float, bits: int) -> int:
    """Encodes a binary number; None becomes a word that says *no computed data*.

    Args:
        label: the label, written in octal as the tables do (0o203).
        value: in the label's unit; beyond full scale it stays at the end, as a transmitter does.
        scale: full scale: the value of the sign bit.
        bits: significant bits without the sign, at most 20.

    >>> hex(bnr(0o312, 450, 4096, 15))
    '0xe1c20053'
    """
    if value is None:
        return word(label, 0, NO_COMPUTED_DATA)
    steps = round(value / scale * (1 << bits))
    steps = max(-(1 << bits), min((1 << bits) - 1, steps))
    return word(label, (steps & (1 << (bits + 1)) - 1) << (28 - bits), NORMAL_BNR)


def quantity(name: str, value: float | None) -> int:
    """Encodes one of QUANTITIES by name; angles are brought into -180 to 180 degrees first."""
    row = QUANTITIES[name]
    if value is not None and name in ANGLES:
        value = (value + 180) % 360 - 180
    return bnr(row.label, value, row.scale, row.bits)


def weight_on_wheels(on_ground: bool) -> int:
    """The air data computer's discrete word 1 with bit 20 set on the ground."""
    return word(WEIGHT_ON_WHEELS, on_ground << (WEIGHT_ON_WHEELS_BIT - 1), NORMAL_OTHER)


def utc_time(at: datetime) -> int:
    """Hours in bits 28 to 24, minutes in 23 to 18, seconds in 17 to 12."""
    return word(UTC, at.hour << 23 | at.minute << 17 | at.second << 11, NORMAL_BNR)


def date(at: datetime) -> int:
    """Day, month and year as BCD digits from bit 29 down to bit 11."""
    data = 0
    fields = ((at.day, 27, 23), (at.month, 22, 18), (at.year % 100, 14, 10))
    for number, tens_at, units_at in fields:
        data |= number // 10 << tens_at | number % 10 << units_at
    return word(DATE, data, NORMAL_OTHER)


def flight_number(text: str) -> list[int]:
    """Two ISO 5 characters a word, bits 11 to 17 and 18 to 24, padded with blanks to four words.

    The bits differ from one aircraft type to the next; these are the lab's.
    """
    padded = text.encode("ascii")[:8].ljust(8)
    return [
        word(label, padded[2 * n] << 10 | padded[2 * n + 1] << 17, NORMAL_OTHER)
        for n, label in enumerate(FLIGHT_NUMBER)
    ]


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One serial frame: A5 5A, type, channel, length, payload, CRC-16/CCITT-FALSE big-endian."""
    body = bytes((kind, channel, len(payload))) + payload
    return b"\xa5\x5a" + body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "big")


def words_frame(channel: int, words: Iterable[int]) -> bytes:
    """Frames up to 63 words of one channel, each four bytes little-endian."""
    return frame(WORDS, channel, b"".join(struct.pack("<I", w) for w in words))


def discretes_frame(mask: int) -> bytes:
    """Frames the 28 discrete signals as one little-endian bit mask."""
    return frame(DISCRETES, 0, struct.pack("<I", mask))
