"""The wall clock, as it is passed to whatever needs one."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Return the time now, with its zone (UTC)."""
    return datetime.now(UTC)
