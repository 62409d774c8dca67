"""What became of a peer's waiting change-sets."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Outcome"]


@dataclass
class Outcome:
    """What became of a stream's waiting files: counts, and in words what stopped it, if anything.

    `quarantined` rows of `rows` were kept aside. `waiting` says what a newer schema is needed for, which is
    no problem: it goes on by itself after the migration.
    """

    batches: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)
    quarantined: int = 0
    waiting: list[str] = field(default_factory=list)

    def __iadd__(self, other: Outcome) -> Outcome:
        self.batches += other.batches
        self.rows += other.rows
        self.problems += other.problems
        self.quarantined += other.quarantined
        self.waiting += other.waiting
        return self
