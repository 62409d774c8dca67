"""ARINC 429 words into readings: parity, label, what the SSM says the value is worth, the value."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from onboard_app.avionics.labels import TABLE, Bcd, Bit, Bnr, Characters, Clock, Label


class Status(Enum):
    """What a word says of its own value."""

    NORMAL = "normal"
    NO_COMPUTED_DATA = "no computed data"
    TEST = "functional test"
    FAILURE = "failure warning"


Value = float | bool | str


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal as a word gave it; the value is None unless the status is normal."""

    name: str
    value: Value | None
    status: Status


_BNR_SSM = (Status.FAILURE, Status.NO_COMPUTED_DATA, Status.TEST, Status.NORMAL)
# BCD uses the SSM for the sign: both plus and minus are normal.
_BCD_SSM = (Status.NORMAL, Status.NO_COMPUTED_DATA, Status.TEST, Status.NORMAL)
_DISCRETE_SSM = (Status.NORMAL, Status.NO_COMPUTED_DATA, Status.TEST, Status.FAILURE)
_MINUS = 0b11


def label_of(word: int) -> int:
    """The label as the tables write it: the low byte, its bits the other way round.

    >>> oct(label_of(0x7fe0c0c1))
    '0o203'
    """
    return _REVERSED[word & 0xFF]


_REVERSED = tuple(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _bnr(label: Bnr) -> Callable[[int], Value]:
    width, shift = label.bits + 1, 28 - label.bits
    mask, half = (1 << width) - 1, 1 << label.bits
    step, angle = label.full_scale / half, label.angle

    def decode(word: int) -> Value:
        raw = word >> shift & mask
        value = (raw - (1 << width) if raw & half else raw) * step
        return value % 360 if angle else value

    return decode


def _bcd(label: Bcd) -> Callable[[int], Value]:
    def decode(word: int) -> Value:
        number, below = 0, 29
        for width in label.widths:
            below -= width
            digit = word >> below & (1 << width) - 1
            if digit > 9:
                raise ValueError(f"{label.name}: {digit} is not a decimal digit")
            number = number * 10 + digit
        return (-number if word >> 29 & 3 == _MINUS else number) * label.scale

    return decode


def _bit(label: Bit) -> Callable[[int], Value]:
    return lambda word: bool(word >> (label.bit - 1) & 1)


def _clock(label: Clock) -> Callable[[int], Value]:
    def decode(word: int) -> Value:
        hour, minute, second = word >> 23 & 31, word >> 17 & 63, word >> 11 & 63
        if hour > 23 or minute > 59 or second > 59:
            raise ValueError(f"{label.name}: {hour}:{minute}:{second} is no time of day")
        return float(hour * 3600 + minute * 60 + second)

    return decode


def _characters(label: Characters) -> Callable[[int], Value]:
    def decode(word: int) -> Value:
        text = chr(word >> 10 & 127) + chr(word >> 17 & 127)
        if not text.isprintable():
            raise ValueError(f"{label.name}: {text!r} cannot be printed")
        return text

    return decode


def _decoder(label: Label) -> tuple[str, tuple[Status, ...], Callable[[int], Value]]:
    match label:
        case Bnr():
            return label.name, _BNR_SSM, _bnr(label)
        case Clock():
            return label.name, _BNR_SSM, _clock(label)
        case Bcd():
            return label.name, _BCD_SSM, _bcd(label)
        case Bit():
            return label.name, _DISCRETE_SSM, _bit(label)
        case Characters():
            return label.name, _DISCRETE_SSM, _characters(label)


class Decoder:
    """Decodes the words of all channels by one table.

    `bad` counts words with wrong parity or an impossible value, `unknown` those without a label
    here; neither gives a reading, so what they should have carried goes stale.

    >>> next(Decoder().words(0, bytes.fromhex("c1c0e07f")))
    Reading(name='altitude', value=-1000.0, status=<Status.NORMAL: 'normal'>)
    """

    def __init__(self, table: Mapping[tuple[int, int], Label] = TABLE) -> None:
        self._by_byte = {
            (channel, _REVERSED[label]): _decoder(entry)
            for (channel, label), entry in table.items()
        }
        self.bad = 0
        self.unknown = 0

    def words(self, channel: int, payload: bytes) -> Iterator[Reading]:
        """Decodes a frame's payload: little-endian words of four bytes; a rest counts as bad."""
        whole = len(payload) // 4 * 4
        if whole != len(payload):
            self.bad += 1
        for (word,) in struct.iter_unpack("<I", payload[:whole]):
            reading = self.word(channel, word)
            if reading is not None:
                yield reading

    def word(self, channel: int, word: int) -> Reading | None:
        """Decodes one word; None when parity is even, the label not ours, the value impossible."""
        if not word.bit_count() & 1:
            self.bad += 1
            return None
        found = self._by_byte.get((channel, word & 0xFF))
        if found is None:
            self.unknown += 1
            return None
        name, statuses, decode = found
        status = statuses[word >> 29 & 3]
        if status is not Status.NORMAL:
            return Reading(name, None, status)
        try:
            return Reading(name, decode(word), status)
        except ValueError:
            self.bad += 1
            return None
