"""The 28 discrete signals of the box, as one bit mask; bit 0 is the first.

The names are the hardware's own. Signals that exist twice (GPIO_…) are read on two ways, so that a
broken line shows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

NAMES = (
    "DCFAILSIG",
    "ACFAILSIG",
    "OVERTEMP_SIG",
    "GSM_POWER_STATUS",
    "ENB2SIG",
    "ENB1SIG",
    "ENB0SIG",
    "GSMSIG_STATUS",
    "CPLD_REV0",
    "CPLD_REV1",
    "SYSENSIG",
    "ENB3SIG",
    "ENB4SIG",
    "ENB5SIG",
    "ALERT",
    "CONFIGSIG0",
    "CONFIGSIG1",
    "CONFIGSIG2",
    "INTTEST_OUT",
    "INTTEST_IN",
    "ISO_OUT0",
    "ISO_OUT1",
    "ISO_OUT2",
    "ISO_OUT3",
    "GPIO_DCFAILSIG",
    "GPIO_ACFAILSIG",
    "GPIO_OVERTEMP_SIG",
    "GPIO_SYSENSIG",
)


def decode(payload: bytes) -> Mapping[str, bool]:
    """The signals by name.

    Raises:
        ValueError: the payload is not four bytes, or a bit beyond the last signal is set.

    >>> decode(bytes((0x08, 0, 0, 0)))["GSM_POWER_STATUS"]
    True
    """
    if len(payload) != 4:
        raise ValueError(f"discretes: expected 4 bytes, found {len(payload)}")
    (mask,) = struct.unpack("<I", payload)
    if mask >> len(NAMES):
        raise ValueError(f"discretes: {mask:#010x} has bits beyond the {len(NAMES)} signals")
    return {name: bool(mask >> bit & 1) for bit, name in enumerate(NAMES)}
