"""Merging edits of one user, field by field: pure, so that it can be tried in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Edit", "Key", "merge"]

Key = tuple[int, str, int]
"""What makes one edit later than another: the reading as it counts, the aircraft, the reading it made."""


@dataclass(frozen=True)
class Edit:
    """One user's `field` was set to `value`; `key` says which of two is the later one."""

    field: str
    value: str
    key: Key


def merge(
    values: Mapping[str, str], clocks: Mapping[str, Key], edits: Iterable[Edit]
) -> tuple[dict[str, str], dict[str, Key], list[tuple[str, Key, Key]]]:
    """Return a user's fields and their clocks after the edits, which may come in any order.

    The third is what was decided: (field, winner, loser) for each edit of a field that had one.

    >>> merge({"name": "Ada"}, {"name": (5, "A", 5)}, [Edit("name", "Countess", (6, "B", 6))])
    ({'name': 'Countess'}, {'name': (6, 'B', 6)}, [('name', (6, 'B', 6), (5, 'A', 5))])
    """
    merged, won, decided = dict(values), dict(clocks), []
    for edit in edits:
        former = won.get(edit.field)
        if former is None or edit.key > former:
            merged[edit.field] = edit.value
            won[edit.field] = edit.key
        if former is not None and former != edit.key:
            decided.append((edit.field, max(edit.key, former), min(edit.key, former)))
    return merged, won, decided
