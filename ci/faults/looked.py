"""What a program that looked at a host printed."""

from __future__ import annotations

import json
from typing import Any


def told(said: str) -> dict[str, Any]:
    """Returns the fields of a host at one moment, lists as tuples, so that they can be compared and kept.

    >>> told('{"runs": ["one"], "link": "7"}')
    {'runs': ('one',), 'link': '7'}
    """
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in json.loads(said).items()
    }
