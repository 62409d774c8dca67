"""Packing: what goes in comes out, bit for bit, and what is better left alone is."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from common.uuid7 import Maker
from sync.packing import even_times, pack, unpack


def keys(count: int) -> list[bytes]:
    chance, now = random.Random(1), iter(range(10**12, 10**12 + count * 1000, 1000))
    made = Maker(lambda: next(now), chance.randbytes)
    return [str(made()).encode() for _ in range(count)]


def text(values: list[bytes]) -> bytes:
    return b"".join(value + b"\n" for value in values)


def test_keys_weigh_little_more_than_their_randomness() -> None:
    values = keys(5000)
    packed = pack(values)
    assert packed is not None
    template, digits = packed
    assert unpack(template, digits, len(values)) == text(values)
    # 62 random bits each, and the time.
    assert len(zstd.compress(digits, 3)) < 10.5 * len(values)
    assert len(zstd.compress(text(values), 3)) > 14 * len(values)


@pytest.mark.parametrize(
    "values",
    [
        keys(15),
        [b"a1", *[b"b22"] * 20],
        [b"aa", b"zz"] * 20,
        [b"%02d:g%s" % (number, b"xyz"[number % 3 :][:1]) for number in range(20)],
        [str(UUID(int=number % 5)).encode() for number in range(40)],
        [b"%0300d" % number for number in range(20)],
        [str(UUID(int=number)).upper().encode() for number in range(10, 40)],
    ],
    ids=["few", "lengths", "letters", "one letter", "repeated", "wide", "capitals"],
)
def test_what_is_better_left_as_text_is(values: list[bytes]) -> None:
    assert pack(values) is None


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 40).flatmap(
        lambda width: st.lists(
            st.text("0123456789abcdef-", min_size=width, max_size=width), min_size=16, max_size=60
        )
    )
)
def test_whatever_is_packed_comes_back(drawn: list[str]) -> None:
    values = [value.encode() for value in drawn]
    packed = pack(values)
    assert packed is None or unpack(*packed, len(values)) == text(values)


def test_digits_that_are_not_those_of_the_template_are_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes for 2 places of 4 values"):
        unpack(b"\t\t", b"\0\0\0", 4)


@pytest.mark.parametrize(
    ("time", "even"),
    [
        (b"2026-11-23 12:00:00.123456+00", b"2026-11-23 12:00:00.123456+00"),
        (b"2026-11-23 12:00:00.1+00", b"2026-11-23 12:00:00.100000+00"),
        (b"2026-11-23 12:00:00+00", b"2026-11-23 12:00:00.000000+00"),
        (b"10000-01-01 00:00:00.5+00", b"10000-01-01 00:00:00.5+00"),
        (b"0044-03-15 12:00:00+00 BC", b"0044-03-15 12:00:00+00 BC"),
        (b"infinity", b"infinity"),
        (rb"\N", rb"\N"),
    ],
)
def test_times_get_all_their_digits_where_they_have_that_form(time: bytes, even: bytes) -> None:
    assert even_times([time]) == [even]
