"""Where a value comes from, level by level: all, the outer groups, the inner ones, the host itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleet.inventory_yaml import Value


@dataclass(frozen=True)
class Origin:
    """A value, the level that gives it, its file and line, and what it stands over.

    Args:
        level: `all`, `group NAME` or `host NAME`.
        path: the file.
        line: of the value, 1 is the first.
        value: as the file has it.
        over: the next lower level's, which this one overrides; None when no other gives any.
    """

    level: str
    path: Path
    line: int
    value: Any
    over: Origin | None = None

    def __str__(self) -> str:
        return f"{self.level} ({self.path}:{self.line})"

    def overridden(self) -> Iterator[Origin]:
        """Yields what it stands over, the next one first."""
        below = self.over
        while below is not None:
            yield below
            below = below.over


Origins = Mapping[str, Origin]


def read_vars(level: str, value: Value | None) -> Origins:
    """Returns the variables of one level by name; no value gives none."""
    return {
        key: Origin(level, inner.faults.path, inner.line, inner.plain())
        for key, inner in (value.items("variables by name") if value else ())
    }


def laid_over(lower: Origins, upper: Origins) -> Origins:
    """Returns both levels as one; what the upper gives remembers what it overrides."""
    return {**lower, **{key: replace(one, over=lower.get(key)) for key, one in upper.items()}}
