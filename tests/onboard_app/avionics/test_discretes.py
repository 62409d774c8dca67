"""The box's discrete signals."""

from __future__ import annotations

import pytest

from onboard_app.avionics import discretes


def test_there_are_28_and_their_order_is_the_hardwares():
    assert len(discretes.NAMES) == len(set(discretes.NAMES)) == 28
    assert discretes.decode(b"\x01\0\0\0")["DCFAILSIG"]
    assert discretes.decode(b"\0\0\0\x08")["GPIO_SYSENSIG"]


def test_bits_beyond_the_last_signal_are_refused():
    with pytest.raises(ValueError, match="beyond the 28 signals"):
        discretes.decode(b"\0\0\0\x10")


def test_a_short_mask_is_refused():
    with pytest.raises(ValueError, match="expected 4 bytes, found 3"):
        discretes.decode(b"\0\0\0")
