"""Packing a column of equal-length values that are mostly hexadecimal digits: keys and times.

zstd's fast levels find matches in random digits where there is nothing to match, and spend 15 bytes on a
key whose randomness is 8. So the digits that differ from row to row are taken out, two in a byte, those
of one place of all values together; what is the same in every value stands once, in the template. What
cannot be packed so, or repeats itself, stays text, which zstd does well. Pure; a few operations on whole
columns and none on single values.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["PLACE", "even_times", "pack", "unpack"]

# A raw tab, which no value in COPY's escaping has.
PLACE = 9
_HEX = b"0123456789abcdef"
_FEW, _WIDE = 16, 200
_SECONDS, _MICROSECONDS = 19, 6


def pack(values: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Return the template and the packed digits, or None when the values are better left as they are.

    The template is one value with a tab at each place where the values differ. The packed digits are, for
    each two such places, one byte for each value; a last single place is paired with zeros.

    >>> pack([b"a-%02d" % number for number in range(16)])
    (b'a-\\t\\t', b'\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\t\\x10\\x11\\x12\\x13\\x14\\x15')
    """
    count = len(values)
    if count < _FEW or len(set(map(len, values))) > 1 or len(set(values)) * 2 <= count:
        return None
    joined, width = b"".join(values), len(values[0])
    if width > _WIDE:
        return None
    template, places = bytearray(values[0]), []
    for at in range(width):
        place = joined[at::width]
        if place.count(place[:1]) == count:
            continue
        if place.translate(None, _HEX):
            return None
        template[at] = PLACE
        places.append(place)
    if len(places) % 2:
        places.append(b"0" * count)
    packed = bytearray()
    both = bytearray(2 * count)
    for high, low in zip(places[::2], places[1::2], strict=True):
        both[::2], both[1::2] = high, low
        packed += bytes.fromhex(both.decode("ascii"))
    return bytes(template), bytes(packed)


def unpack(template: bytes, packed: bytes, count: int) -> bytes:
    """Return the values, a line feed after each; raises `ValueError` when the lengths do not fit.

    >>> unpack(b"a-\\t", b"\\x00\\x10", 2)
    b'a-0\\na-1\\n'
    """
    places = [at for at, byte in enumerate(template) if byte == PLACE]
    if len(packed) != (len(places) + 1) // 2 * count:
        raise ValueError(f"{len(packed)} bytes for {len(places)} places of {count} values")
    line = len(template) + 1
    values = bytearray((template + b"\n") * count)
    for number, at in enumerate(places):
        start = number // 2 * count
        digits = packed[start : start + count].hex().encode("ascii")
        values[at::line] = digits[number % 2 :: 2]
    return bytes(values)


def even_times(values: Sequence[bytes]) -> list[bytes]:
    """Return PostgreSQL's ISO times in UTC with all six digits of their fractions, of which it leaves out
    the last zeros; what is no such time (`infinity`, a time BC, no value) stays as it is.

    >>> even_times([b"2026-11-23 12:00:00.25+00", b"2026-11-23 12:00:00+00", rb"\\N"])
    [b'2026-11-23 12:00:00.250000+00', b'2026-11-23 12:00:00.000000+00', b'\\\\N']
    """
    full = _SECONDS + 1 + _MICROSECONDS + 3
    return [value if len(value) == full else _even(value) for value in values]


def _even(value: bytes) -> bytes:
    seconds, fraction, zone = value[:_SECONDS], value[_SECONDS:-3], value[-3:]
    if zone != b"+00" or fraction[:1] not in (b"", b".") or len(value) < _SECONDS + 3:
        return value
    return seconds + b"." + fraction[1:].ljust(_MICROSECONDS, b"0") + zone
