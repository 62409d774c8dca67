"""Steps of what must survive a power cut at any of them, told as they are done: tests kill there."""

from __future__ import annotations

__all__ = ["untold"]


def untold(step: str) -> None:
    """Take a step's name, for whom nobody watches.

    >>> untold("committed")
    """
