"""The trial of a release that is aboard: switched to, asked, confirmed, or returned from.

The order is what makes a cut harmless. The state file says "trial, from that release" before
`current/<kind>` moves, and says "confirmed" only after the new release was well; so whoever comes
next finds either no trial, and current is good, or a trial, and knows where to return to. What serves
passengers starts beside the release before and is asked there first, so a release that does not come up
is never met by anybody, and the way back is a rename.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import disk, health, serving, store
from . import state as states
from .errors import FAILED, AboardError
from .manifest import Manifest
from .state import Record, Stage, State, Trial
from .steps import Step
from .world import World

KEPT = 3
TRIAL_S = 120.0


@dataclass(frozen=True)
class Result:
    """How an order ended.

    Args:
        result: confirmed · already · returned (was current, is not any more) · refused (never was
            current) · left (nothing to do) · stands (is current, and runs) ·
            current again (nothing was) · failed.
        former: the release before, where there was one.
        reason: for people, wherever it is not plain success.
    """

    result: str
    kind: str
    version: str | None
    former: str | None = None
    reason: str | None = None

    @property
    def exit_code(self) -> int:
        """0 when what was asked for holds now, else 4."""
        return 0 if self.result in ("confirmed", "already", "left", "current again") else FAILED


def over(world: World, record: Record) -> str | None:
    """Why a trial is over that nobody watches, or None while it may still be confirmed."""
    trial = record.trial
    if trial is None or trial.boot_id != world.boot_id():
        return "the host went down during its trial"
    if world.since_boot() > trial.deadline_s:
        return "its trial ran out before it was confirmed"
    return None


def relink(world: World, state: State) -> list[Result]:
    """Point `current/<kind>` to the last good release wherever it names none; says where it did."""
    results = []
    for kind in sorted(state.kinds):
        there = [one for one in state.good(kind) if world.release(kind, one.version).exists()]
        if there and world.current(kind) is None:
            disk.make_folder(world.link(kind).parent)
            disk.point(world.link(kind), world.release(kind, there[0].version))
            why = "it was good, and current named none"
            results.append(Result("current again", kind, there[0].version, None, why))
    return results


def settle(world: World, spare: tuple[str, str] | None = None) -> State:
    """End trials that a cut left behind: whoever holds the lock knows that nobody watches them."""
    state = states.load(world)
    relink(world, state)
    for kind, record in state.on_trial():
        why = over(world, record)
        if why or (kind, record.version) != spare:
            why = why or "its trial was cut off, and another release was asked for"
            state, _ = go_back(world, state, kind, record, why, proven=False)
    return state


def attempt(
    world: World, state: State, manifest: Manifest, former: str | None, leaving: str | None = None
) -> Result:
    """Switch to a release that is aboard, confirm it when it is well, return when it is not.

    Args:
        leaving: why the former release is left for good, where it is; else it stays a good one.
    """
    kind, version = manifest.kind, manifest.version
    known = state.get(kind, version)
    # A trial that goes on after a cut is no reason to forget what was there before it began.
    was_good = known is not None and (
        known.trial.was_good if known.trial else known.stage is Stage.CONFIRMED
    )
    deadline_s = world.since_boot() + TRIAL_S
    runs = (manifest.units, manifest.beside)
    trial = Trial(former, deadline_s, world.boot_id(), was_good, *runs)
    order = state.next_order(kind)
    record = Record(version, manifest.revision, Stage.TRIAL, world.stamp(), order, None, trial)
    world.at(Step.TRIAL)
    state = states.record(world, state, kind, record)
    # A trial that goes on may have begun to serve.
    served = world.current(kind) == version
    # What this host could not do says nothing of the release.
    proven = True
    try:
        wrong = None if served else _beside(world, manifest)
        if not wrong:
            served = True
            wrong = _serve(world, manifest)
        if not wrong:
            world.at(Step.CONFIRM)
            good = [replace(record, stage=Stage.CONFIRMED, trial=None, at=world.stamp())]
            if leaving and (left := state.get(kind, former)):
                # Else the order that brought it could bring it back against theirs.
                stamp, bad = world.stamp(), state.counter(kind)
                good.append(
                    replace(left, stage=Stage.ROLLED_BACK, reason=leaving, at=stamp, bad=bad)
                )
            state = states.record(world, state, kind, *good)
    except (OSError, AboardError) as error:
        wrong, proven = str(error), False
    if wrong:
        state, result = go_back(world, state, kind, record, wrong, proven=proven, served=served)
        result = tidied(world, state, result)
        return result if served else replace(result, result="refused")
    world.at(Step.DRAIN)
    still = serving.drain(world, manifest.beside, version)
    world.at(Step.CLEAN)
    untidy = [still, _clean(world, state, kind, former)]
    return Result("confirmed", kind, version, former, "; ".join(filter(None, untidy)) or None)


def _beside(world: World, manifest: Manifest) -> str | None:
    """Starts the release beside the one that serves; what is wrong with it, or None."""
    world.at(Step.BESIDE)
    if not manifest.beside:
        return None
    asked = health.alone(manifest)
    if wrong := serving.start(world, manifest.beside, manifest.version):
        # systemd says no more than that it did not start.
        return wrong.splitlines()[0] + health.last_words(world, asked.units)
    return health.complaint(world, manifest, asked)


def _serve(world: World, manifest: Manifest) -> str | None:
    """Makes the release the one that serves; what is wrong with it, or None."""
    kind, version = manifest.kind, manifest.version
    world.at(Step.SWITCH)
    disk.make_folder(world.link(kind).parent)
    disk.point(world.link(kind), world.release(kind, version))
    world.at(Step.LINK)
    serving.link(world, manifest.beside, version)
    world.at(Step.RESTART)
    wrong = serving.systemctl(world, "restart", manifest.units)
    if wrong:
        return wrong
    world.at(Step.HEALTH)
    return health.complaint(world, manifest, health.whole(manifest))


def go_back(
    world: World,
    state: State,
    kind: str,
    record: Record,
    reason: str,
    *,
    proven: bool = True,
    served: bool = True,
    wait: bool = True,
) -> tuple[State, Result]:
    """Make the release before current again; may be cut and run again at any point.

    Args:
        proven: False when the trial only came to no end; then a release that was good before its
            trial is a good one still.
        served: False when it never was current, and nothing but what ran beside has met it.
        wait: False at boot, where the units start after us and waiting for them would never end.
    """
    trial = record.trial
    former = trial.former if trial else None
    units, beside = (trial.units, trial.beside) if trial else ((), ())
    world.at(Step.RETURN_SWITCH)
    folder = world.link(kind).parent
    if former is not None:
        disk.make_folder(folder)
        disk.point(world.link(kind), world.release(kind, former))
    elif folder.is_dir():
        world.link(kind).unlink(missing_ok=True)
        disk.sync_folder(folder)
    world.at(Step.RETURN_LINK)
    # It runs still, unless the power went: then it must be there before anybody is sent to it.
    wrong = [former and serving.start(world, beside, former, wait)]
    serving.link(world, beside, former)
    wrong.append(serving.drain(world, beside, former))
    world.at(Step.RETURN_RESTART)
    if served:
        wrong.append(serving.systemctl(world, "restart" if former else "stop", units, wait))
    if after := "; ".join(filter(None, wrong)):
        reason = f"{reason}; and after the return: {after}"
    world.at(Step.RETURN_RECORD)
    good = not proven and trial is not None and trial.was_good
    stage = Stage.CONFIRMED if good else Stage.ROLLED_BACK
    bad = state.counter(kind) if proven else None
    left = replace(record, stage=stage, trial=None, reason=reason, at=world.stamp(), bad=bad)
    state = states.record(world, state, kind, left)
    return state, Result("returned", kind, record.version, former, reason)


def tidied(world: World, state: State, bad: Result) -> Result:
    """Clean up after a release that failed; what could not be removed is said after its reason.

    Bad ones must not pile up: nobody makes room on an aircraft by hand.
    """
    untidy = [bad.reason, _clean(world, state, bad.kind, bad.version)]
    return replace(bad, reason="; and ".join(filter(None, untidy)))


def _clean(world: World, state: State, kind: str, former: str | None) -> str | None:
    """Keeps the last good releases, removes the others and what only they needed.

    Args:
        former: what was left a moment ago stays until the next time, however it was left: a page of it
            that is on somebody's screen still asks for its files.

    Returns:
        What could not be removed; that is no reason to doubt the release.
    """
    try:
        folder = world.home / "releases" / kind
        kept = {one.version for one in state.good(kind)[:KEPT]} | {world.current(kind), former}
        for path in folder.iterdir():
            if path.name not in kept:
                disk.remove_tree(path)
        states.save(world, state.forget(kind, {path.name for path in folder.iterdir()}))
        store.collect(world)
    except OSError as error:
        return f"cleaning up: {error}"
    return None
