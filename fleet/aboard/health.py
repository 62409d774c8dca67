"""Whether a release is well: its units run, and it says so itself, several times in a row."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from itertools import pairwise

from .errors import AboardError
from .manifest import Manifest
from .world import World

TIMES = 3
WITHIN_S = 30.0
PAUSE_S = 0.5
ANSWER_S = 5.0
COMMAND_S = 60.0
LEAST_DISK = 32 << 20
"""Bytes: half of what was asked for before anything travelled; below it the database is next to stop."""
LEAST_MEMORY = 0.04
"""Of the whole: what a box needs beside its processes to stay one that answers."""
LOG_LINES = "400"
LOG_KEPT = 5
TRACEBACK = "Traceback (most recent call last):"
LOG_CHARACTERS = 700


@dataclass(frozen=True)
class Asked:
    """Who is asked whether a release is well: its units, and a unix socket where one answers for it."""

    units: tuple[str, ...]
    socket: str | None
    path: str = "/"


def alone(manifest: Manifest) -> Asked:
    """Who is asked before the switch: what runs beside the release that serves."""
    version, health = manifest.version, manifest.health
    units = tuple(one.instance(version) for one in manifest.beside)
    own = [one.own(version) for one in manifest.beside if health and one.socket == health.socket]
    return Asked(units, own[0] if own else None, health.path if health else "/")


def whole(manifest: Manifest) -> Asked:
    """Who is asked after it: all that runs, by the way that nginx goes."""
    health = manifest.health
    units = (*(one.instance(manifest.version) for one in manifest.beside), *manifest.units)
    return Asked(units, health.socket, health.path) if health else Asked(units, None)


def complaint(world: World, manifest: Manifest, asked: Asked) -> str | None:
    """Ask until the release was well three times in a row, or until 30 s are over.

    Returns:
        None when it is well, else what was wrong at last, with the end of the units' log.

    Raises:
        AboardError: all was well but that the host has no room; that says nothing of the release.
    """
    end = world.since_boot() + WITHIN_S
    well = 0
    while True:
        ill = (_ask(world, manifest, asked.socket, asked.path) if asked.socket else None) or _units(
            world, asked.units
        )
        wrong = ill or _bounds(world)
        well = 0 if wrong else well + 1
        if well == TIMES or (well and not asked.units and not asked.socket):
            return None
        if world.since_boot() >= end:
            if wrong and not ill:
                raise AboardError(f"{wrong}; make room, and the same order again finishes")
            return (wrong or "it was well and ill by turns") + last_words(world, asked.units)
        world.sleep(PAUSE_S)


def _bounds(world: World) -> str | None:
    """Whether it leaves the host room to live, on the disk and in memory; None when it does."""
    if (free := world.free(world.state_folder)) < LEAST_DISK:
        return f"{free >> 20} MiB are free on the disk, expected {LEAST_DISK >> 20} or more"
    if (share := world.memory()) < LEAST_MEMORY:
        return f"{share:.1%} of the memory is free, expected {LEAST_MEMORY:.0%} or more"
    return None


def _ask(world: World, manifest: Manifest, socket: str, path: str) -> str | None:
    """What one answer has wrong, or None."""
    try:
        status, body = world.ask(world.inside(socket), path, ANSWER_S)
    except (OSError, http.client.HTTPException) as error:
        return f"nobody answers on {socket} ({error})"
    try:
        answer = json.loads(body)
        healthy, revision = answer["healthy"], answer["revision"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"{path} answered {status} with {len(body)} bytes that are no health report"
    if revision != manifest.revision:
        return f"{path} speaks for revision {revision}, expected {manifest.revision}"
    if status != 200 or healthy is not True:
        return f"{path} answered {status} {body[:400].decode(errors='replace')}"
    return None


def _units(world: World, units: tuple[str, ...]) -> str | None:
    """Which units do not run, or died since they were started for this release; None when all stand."""
    if not units:
        return None
    shown = ["--property=Id", "--property=ActiveState", "--property=NRestarts"]
    done = world.run(["systemctl", "show", *shown, *units], timeout_s=COMMAND_S)
    wrong = []
    for block in done.output.strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("ActiveState") != "active":
            wrong.append(f"{unit.get('Id')} is {unit.get('ActiveState')}")
        elif unit.get("NRestarts") != "0":
            # Between two deaths a unit is active: only the count tells.
            wrong.append(f"{unit.get('Id')} died and was started again")
    return ", ".join(wrong) or None


def last_words(world: World, units: tuple[str, ...]) -> str:
    """What each unit's own processes said at last, for people who cannot reach the host.

    Asked unit by unit, and without what systemd says about them: units that die by turns would push
    each other's reason out. What was raised comes first, once each, then the last lines: of a process
    with workers, who ends after them has the last word and the least to say.
    """
    parts = []
    for unit in units:
        argv = ["journalctl", "--no-pager", "-q", "-o", "cat", "-n", LOG_LINES]
        done = world.run([*argv, f"_SYSTEMD_UNIT={unit}"], timeout_s=COMMAND_S)
        lines = [line for line in done.output.splitlines() if line.strip()]
        # The line after a traceback's frames, which are indented.
        raised = dict.fromkeys(
            line for frame, line in pairwise(lines) if frame[0] == " " and line[0] != " "
        )
        rest = [each for each in lines if each[0] != " " and each not in {*raised, TRACEBACK}]
        said = [*[*raised][:LOG_KEPT], *rest[-LOG_KEPT:]]
        if said:
            parts.append(f"; {unit} said at last: {' / '.join(said)[:LOG_CHARACTERS]}")
    return "".join(parts)
