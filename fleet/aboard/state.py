"""What aboard remembers of each release: staged → trial → confirmed, or rolled back and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from . import disk
from .errors import AboardError
from .manifest import Beside
from .world import World

FORMAT = 1
REMEMBERED = 50
"""How many rolled back releases of a kind are remembered, with reasons, when they are gone."""


class Stage(StrEnum):
    """How far a release came on this host."""

    STAGED = "staged"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class Trial:
    """A release that is current but not yet trusted.

    Args:
        former: the version to return to; None when there was none.
        deadline_s: seconds since boot; after it the trial has run out.
        boot_id: the boot it began in; in another boot it has run out whatever the clocks say.
        was_good: whether it was confirmed before; a trial that only came to no end keeps it so.
        units, beside: what runs it, so that the return needs nothing of the release itself.
    """

    former: str | None
    deadline_s: float
    boot_id: str
    was_good: bool
    units: tuple[str, ...]
    beside: tuple[Beside, ...]


@dataclass(frozen=True)
class Record:
    """One release of one kind.

    Args:
        version, revision: as in its manifest.
        at: when this record changed last, UTC.
        order: grows with each switch; the good release with the highest order below the current
            one's is the one to roll back to.
        reason: why it was returned from.
        trial: only while it is on trial.
        bad: the counter of the last order when it proved bad, or when ops left it; only a newer order
            tries it again.
    """

    version: str
    revision: str
    stage: Stage
    at: str
    order: int = 0
    reason: str | None = None
    trial: Trial | None = None
    bad: int | None = None


@dataclass(frozen=True)
class Taken:
    """The highest counter that was taken in of a kind, and the SHA-256 of its manifest."""

    counter: int
    manifest: str


@dataclass(frozen=True)
class State:
    """All records, by kind and version, and the counters by kind; immutable, saved whole."""

    kinds: dict[str, dict[str, Record]]
    taken: dict[str, Taken] = field(default_factory=dict)

    def get(self, kind: str, version: str | None) -> Record | None:
        """The record of a release, or None where there is none."""
        return None if version is None else self.kinds.get(kind, {}).get(version)

    def counter(self, kind: str) -> int | None:
        """The counter of the last order of a kind; None before the first."""
        return self.taken[kind].counter if kind in self.taken else None

    def records(self, kind: str) -> list[Record]:
        """All releases of a kind, the one that was switched to last first."""
        return sorted(
            self.kinds.get(kind, {}).values(), key=lambda one: (one.order, one.at), reverse=True
        )

    def good(self, kind: str) -> list[Record]:
        """The confirmed releases of a kind, newest switch first."""
        return [one for one in self.records(kind) if one.stage is Stage.CONFIRMED]

    def on_trial(self) -> list[tuple[str, Record]]:
        """Every release that is on trial, with its kind."""
        return [
            (kind, one)
            for kind in sorted(self.kinds)
            for one in self.records(kind)
            if one.stage is Stage.TRIAL
        ]

    def next_order(self, kind: str) -> int:
        """The order that the next switch of this kind gets."""
        return max((one.order for one in self.kinds.get(kind, {}).values()), default=0) + 1

    def put(self, kind: str, *records: Record) -> State:
        """The state with these records in place of what it had under their versions."""
        versions = {**self.kinds.get(kind, {}), **{one.version: one for one in records}}
        return replace(self, kinds={**self.kinds, kind: versions})

    def forget(self, kind: str, present: Iterable[str]) -> State:
        """The state without old records of releases whose directory is gone."""
        here = set(present)
        kept = self.records(kind)
        gone = [one for one in kept if one.version not in here]
        dropped = {one.version for one in gone if one.stage is not Stage.ROLLED_BACK}
        dropped |= {one.version for one in gone[REMEMBERED:]}
        left = {one.version: one for one in kept if one.version not in dropped}
        return replace(self, kinds={**self.kinds, kind: left})


def load(world: World) -> State:
    """Read the state; a host that never had a release has an empty one.

    Raises:
        AboardError: the file is not what `save` writes.
    """
    path = world.state_folder / "state.json"
    try:
        document = json.loads(path.read_bytes())
        # Whoever wrote it may have been killed before its name was on the disk; nobody acts on what a
        # power cut would take back.
        disk.sync_folder(world.state_folder)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, expected {FORMAT}")
        return State(
            {
                kind: {version: _record(fields) for version, fields in releases.items()}
                for kind, releases in document["kinds"].items()
            },
            {kind: Taken(**fields) for kind, fields in document.get("taken", {}).items()},
        )
    except FileNotFoundError:
        return State({})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AboardError(
            f"{path}: not what aboard wrote ({error}); move it away and deploy again: what is "
            "current stays current, only the memory of former releases and counters is lost"
        ) from error


def _record(fields: dict[str, Any]) -> Record:
    trial = fields["trial"]
    if trial:
        beside = tuple(Beside(**one) for one in trial["beside"])
        trial = Trial(**{**trial, "units": tuple(trial["units"]), "beside": beside})
    return replace(Record(**fields), stage=Stage(fields["stage"]), trial=trial)


def save(world: World, state: State) -> None:
    """Write the state so that a cut leaves the former one or this one."""
    disk.make_folder(world.state_folder)
    document = {"format": FORMAT, **asdict(state)}
    text = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    disk.write(world.state_folder / "state.json", [text])


def record(world: World, state: State, kind: str, *records: Record) -> State:
    """Save these records and return the state that holds them."""
    state = state.put(kind, *records)
    save(world, state)
    return state


def count(world: World, state: State, kind: str, taken: Taken) -> State:
    """Save the counter that was taken in of a kind and return the state that holds it."""
    if state.taken.get(kind) == taken:
        return state
    state = replace(state, taken={**state.taken, kind: taken})
    save(world, state)
    return state
