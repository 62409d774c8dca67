"""Which release answers: what runs of each version beside the others, and the link that nginx goes by.

A link in /run names the socket of the version that serves; it is renamed, so a request that comes in is
answered by the one or by the other, and those that the old one has begun it ends. The links are gone at
boot: `stand` makes them again, from what is current.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import disk
from .manifest import Beside, Manifest
from .world import World

START_S = 90.0
DRAIN_S = 60.0
"""More than a unit is given to finish (TimeoutStopSec of templates/systemd/app.service.j2)."""
ASK_S = 30.0


def systemctl(world: World, verb: str, units: Sequence[str], wait: bool = True) -> str | None:
    """Start, restart or stop units.

    Args:
        wait: False at boot, where what they wait for may wait for us.

    Returns:
        What went wrong, or None.
    """
    if not units:
        return None
    argv = ["systemctl", verb, *([] if wait else ["--no-block"]), *units]
    done = world.run(argv, timeout_s=DRAIN_S if verb == "stop" else START_S)
    return f"{' '.join(argv)} ended with {done.code}: {done.output.strip()}" if done.code else None


def start(world: World, beside: Iterable[Beside], version: str, wait: bool = True) -> str | None:
    """Start what runs of a version; what runs already is left alone.

    Returns:
        What went wrong, or None.
    """
    return systemctl(world, "start", [one.instance(version) for one in beside], wait)


def link(world: World, beside: Iterable[Beside], version: str | None) -> None:
    """Make a version the one that serves; None makes none do."""
    for one in beside:
        name = world.inside(one.socket)
        if version is None:
            name.unlink(missing_ok=True)
        else:
            disk.point(name, world.inside(one.own(version)))


def drain(world: World, beside: Iterable[Beside], serving: str | None) -> str | None:
    """Stop what runs of every other version, each after the requests that it has begun.

    Args:
        serving: the version that is left alone.

    Returns:
        What went wrong, or None.
    """
    wrong = []
    for one in beside:
        kept = serving and one.instance(serving)
        if others := [unit for unit in _instances(world, one) if unit != kept]:
            wrong.append(systemctl(world, "stop", others))
            # One that died is remembered as failed, though nobody waits for it any more. One that did
            # not is unknown by now, and to say so is all that this can fail with.
            world.run(["systemctl", "reset-failed", *others], timeout_s=ASK_S)
    return "; ".join(filter(None, wrong)) or None


def stand(world: World, manifest: Manifest) -> str | None:
    """See that a release serves as one that is current does: after a boot, or a cut in its last steps.

    Returns:
        What went wrong, or None.
    """
    wrong = start(world, manifest.beside, manifest.version, wait=False)
    for one in manifest.beside:
        if not _names(world, one, manifest.version):
            link(world, [one], manifest.version)
    return wrong or drain(world, manifest.beside, manifest.version)


def _names(world: World, one: Beside, version: str) -> bool:
    try:
        return world.inside(one.socket).readlink().name == world.inside(one.own(version)).name
    except OSError:
        return False


def _instances(world: World, one: Beside) -> list[str]:
    """The instances that systemd has in memory: those that run, and those that failed."""
    pattern = one.unit.replace("@.", "@*.")
    argv = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", pattern]
    done = world.run(argv, timeout_s=ASK_S)
    return [line.split()[0] for line in done.output.splitlines() if line.strip()]
