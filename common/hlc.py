"""Hybrid logical clock: 48 bits of milliseconds and a 16-bit counter in one 64-bit number.

It orders edits of one user made aboard different aircraft: it follows the wall clock, and never
goes back when the wall clock does (Kulkarni et al., "Logical Physical Clocks", 2014).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["last_of", "of", "tick"]

_COUNTER_BITS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def of(moment: datetime) -> int:
    """Return the smallest reading of the millisecond that `moment` (with a time zone) is in.

    >>> of(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) >> 16
    1000
    """
    return ((moment - _EPOCH) // timedelta(milliseconds=1)) << _COUNTER_BITS


def last_of(moment: datetime) -> int:
    """Return the greatest reading of the millisecond that `moment` (with a time zone) is in.

    >>> last_of(datetime(1970, 1, 1, tzinfo=UTC))
    65535
    """
    return of(moment) | (1 << _COUNTER_BITS) - 1


def tick(last: int, now: datetime) -> int:
    """Return the next reading after `last` at wall time `now`; always greater than `last`.

    >>> tick(0, datetime(1970, 1, 1, tzinfo=UTC))
    1
    """
    return max(last + 1, of(now))
