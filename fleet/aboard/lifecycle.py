"""A release's way on a host: taken in, staged, on trial, confirmed, or returned from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO

from . import disk, lock, serving, store, trial, unpack
from . import head as heads
from . import state as states
from .errors import AboardError, Busy, ManifestError
from .manifest import Manifest
from .state import Record, Stage, State
from .steps import Step
from .stream import Reader
from .trial import Result
from .world import World

SETUP_S = 600.0


def offer(world: World, source: BinaryIO) -> dict[str, object]:
    """Answer which of an artifact's files are missing here, before any of them travels.

    Args:
        source: the head of a stream as `stream` defines it; the manifest is kept for `accept`.

    Raises:
        ManifestError, AboardError: this host would refuse it.
    """
    head = heads.read(world, Reader(source))
    manifest = head.manifest
    if world.current(manifest.kind) == manifest.version:
        unpack.check_same(world, manifest)
        _count(world, head)
    unpack.check_room(world, manifest)
    heads.keep(world, head)
    record = states.load(world).get(manifest.kind, manifest.version)
    return {
        "kind": manifest.kind,
        "version": manifest.version,
        "missing": list(store.missing(world, manifest)),
        "current": world.current(manifest.kind),
        "stage": record.stage if record else None,
    }


def accept(world: World, source: BinaryIO) -> Result:
    """Take an artifact in and make it current, or return to the release before.

    Args:
        source: one stream as `stream` defines it.

    Raises:
        ManifestError: it is no good artifact; nothing was switched.
        AboardError: it could not be taken in; nothing was switched.
    """
    with lock.held(world, "deploy"):
        stream = Reader(source)
        head = heads.read(world, stream)
        manifest = head.manifest
        kind, version = manifest.kind, manifest.version
        state = trial.settle(world, spare=(kind, version))
        former, record = world.current(kind), state.get(kind, version)
        stage = record.stage if record else None
        if former == version and stage is not Stage.TRIAL:
            unpack.check_same(world, manifest)
            state = states.count(world, state, kind, head.taken)
            if stage is not Stage.CONFIRMED:
                states.record(world, state, kind, _new(world, state, manifest, Stage.CONFIRMED))
            return Result("already", kind, version, version)
        if record is not None and record.bad is not None and record.bad >= head.taken.counter:
            # Else whoever drives a fleet by itself would try it at each landing.
            tried = f"it was tried by this order: {record.reason}; deploy anew to try it again"
            return Result("refused", kind, version, former, tried)
        unpack.check_room(world, manifest)
        world.at(Step.RECEIVE)
        store.receive(world, manifest, stream)
        unpack.release(world, manifest)
        state = states.count(world, state, kind, head.taken)
        if record is not None and record.trial is not None:
            # A trial that was cut off goes on; its preparations were made before it began.
            former = record.trial.former
        elif stage is not Stage.CONFIRMED:
            # One that was good here once is only switched to: an older release must not prepare
            # what a newer one has already taken further.
            world.at(Step.STAGE)
            staged = _new(world, state, manifest, Stage.STAGED)
            state = states.record(world, state, kind, staged)
            if wrong := _set_up(world, manifest):
                at, counter = world.stamp(), state.counter(kind)
                bad = replace(staged, stage=Stage.ROLLED_BACK, reason=wrong, at=at, bad=counter)
                state = states.record(world, state, kind, bad)
                return trial.tidied(world, state, Result("refused", kind, version, former, wrong))
        return trial.attempt(world, state, manifest, former)


def rollback(world: World, kind: str) -> Result:
    """Go back to the good release before the current one; it passes a trial like any other.

    Raises:
        AboardError: there is none on this host.
    """
    with lock.held(world, f"rollback {kind}"):
        state = trial.settle(world)
        current = world.current(kind)
        for record in state.good(kind):
            target = world.release(kind, record.version)
            if record.version != current and target.exists():
                why = f"ops went back to {record.version}"
                return trial.attempt(world, state, store.manifest_of(target), current, why)
        raise AboardError(
            f"no good release of {kind} to go back to is on this host "
            f"(current: {current or 'none'}); deploy an older revision instead"
        )


def recover(world: World) -> list[Result]:
    """Return from every trial that ran out, for instance because the power went; see that something
    is current where something was good, and that what is current serves.

    Run at boot and then each minute. An order that is at work is left alone: it watches its own
    trial, and ends those that were cut off before it begins.
    """
    results: list[Result] = []
    try:
        with lock.held(world, "recover", patience_s=0):
            try:
                state = states.load(world)
            except AboardError as error:
                # What is current serves all the same; who can mend the memory may be far away.
                state = State({})
                results.append(Result("failed", "every kind", None, None, str(error)))
            left = set()
            results += trial.relink(world, state)
            for kind, record in state.on_trial():
                if why := trial.over(world, record):
                    state, result = trial.go_back(
                        world, state, kind, record, why, proven=False, wait=False
                    )
                else:
                    left.add(kind)
                    result = Result("left", kind, record.version, None, "its trial is not over")
                results.append(result)
            results += [_stand(world, kind) for kind in world.kinds() if kind not in left]
    except Busy:
        pass
    return results


def _stand(world: World, kind: str) -> Result:
    """Sees that what is current serves; what runs already is left alone."""
    version = world.current(kind)
    try:
        wrong = serving.stand(world, store.manifest_of(world.link(kind)))
    except (OSError, ManifestError) as error:
        wrong = f"what is current cannot be read: {error}; {unpack.ANOTHER}"
    return Result("failed" if wrong else "stands", kind, version, None, wrong)


def listing(world: World) -> dict[str, object]:
    """What is on this host: every release, how far it came, its bytes; and what is current."""
    state = states.load(world)
    kinds = sorted({*state.kinds, *(path.name for path in (world.home / "releases").glob("*"))})
    return {
        "kinds": {
            kind: {
                "current": world.current(kind),
                "releases": [
                    {
                        "version": one.version,
                        "revision": one.revision,
                        "stage": one.stage,
                        "at": one.at,
                        "reason": one.reason,
                        "bytes": disk.size_of(world.release(kind, one.version)),
                    }
                    for one in state.records(kind)
                ],
            }
            for kind in kinds
        },
        "bytes": disk.size_of(world.home / "blobs"),
    }


def _count(world: World, head: heads.Head) -> None:
    """Counts an order for what is current already: nothing of it comes, but older ones are over."""
    kind = head.manifest.kind
    with lock.held(world, "offer"):
        state = states.load(world)
        if head.envelope.counter > (state.counter(kind) or 0):
            states.count(world, state, kind, head.taken)


def _new(world: World, state: State, manifest: Manifest, stage: Stage) -> Record:
    known = state.get(manifest.kind, manifest.version)
    order = known.order if known else 0
    if stage is Stage.CONFIRMED and not order:
        order = state.next_order(manifest.kind)
    return Record(manifest.version, manifest.revision, stage, world.stamp(), order)


def _set_up(world: World, manifest: Manifest) -> str | None:
    """Runs the release's preparations; what went wrong, or None."""
    release = world.release(manifest.kind, manifest.version)
    world.at(Step.SETUP)
    for command in manifest.setup:
        done = world.run(
            [str(release / command[0]), *command[1:]],
            timeout_s=SETUP_S,
            user=world.user,
            env=environment(world),
            cwd=release,
        )
        if done.code:
            printed = done.output.strip()[-1500:]
            return f"{' '.join(command)} ended with {done.code}: {printed}; nothing was switched"
    return None


def environment(world: World) -> Mapping[str, str]:
    """What setup commands find in their environment: the units' settings file, and a plain PATH.

    Raises:
        AboardError: there is no such file, so the host was never converged.
    """
    try:
        lines = world.env_file.read_bytes().decode().split("\n")
    except FileNotFoundError as error:
        raise AboardError(f"{world.env_file} is not here; converge the host first") from error
    settings = {
        name.strip(): _unquoted(value.strip())
        for name, equals, value in (line.partition("=") for line in lines)
        if equals and not name.lstrip().startswith(("#", ";"))
    }
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **settings}


def _unquoted(value: str) -> str:
    """A value as systemd and the shell read it; what is between double quotes may be escaped."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r'\\([\\"$`])', r"\1", value[1:-1])
    return value.strip("'")
