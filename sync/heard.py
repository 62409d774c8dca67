"""What the other end says, of which anything may be malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["mapping"]


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value when it is a mapping, and an empty one for anything else.

    >>> mapping({"seq": 3}), mapping("seq")
    ({'seq': 3}, {})
    """
    return value if isinstance(value, Mapping) else {}
