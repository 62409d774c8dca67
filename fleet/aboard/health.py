"""Whether a release is well: its units run, and it says so itself, several times in a row."""

from __future__ import annotations

import http.client
import json

from .manifest import Health, Manifest
from .world import World

TIMES = 3
WITHIN_S = 30.0
PAUSE_S = 1.0
ANSWER_S = 5.0
COMMAND_S = 60.0
LOG_LINES = "120"
LOG_KEPT = 8
LOG_CHARACTERS = 700


def complaint(world: World, manifest: Manifest) -> str | None:
    """Ask until the release was well three times in a row, or until 30 s are over.

    Returns:
        None when it is well, else what was wrong at last, with the end of the units' log.
    """
    end = world.since_boot() + WITHIN_S
    well = 0
    while True:
        wrong = _ask(world, manifest, manifest.health) if manifest.health else None
        wrong = wrong or _units(world, manifest)
        well = 0 if wrong else well + 1
        if well == TIMES or (well and not manifest.units and not manifest.health):
            return None
        if world.since_boot() >= end:
            return (wrong or "it was well and ill by turns") + _log(world, manifest)
        world.sleep(PAUSE_S)


def _ask(world: World, manifest: Manifest, health: Health) -> str | None:
    """What one answer has wrong, or None."""
    try:
        status, body = world.ask(world.inside(health.socket), health.path, ANSWER_S)
    except (OSError, http.client.HTTPException) as error:
        return f"nobody answers on {health.socket} ({error})"
    try:
        answer = json.loads(body)
        healthy, revision = answer["healthy"], answer["revision"]
    except (ValueError, TypeError, KeyError):
        return f"{health.path} answered {status} {body[:200]!r}, which is no health report"
    if revision != manifest.revision:
        return f"{health.path} speaks for revision {revision}, expected {manifest.revision}"
    if status != 200 or healthy is not True:
        return f"{health.path} answered {status} {body[:400].decode(errors='replace')}"
    return None


def _units(world: World, manifest: Manifest) -> str | None:
    """Which units do not run, or died since they were started for this release; None when all stand."""
    if not manifest.units:
        return None
    shown = ["--property=Id", "--property=ActiveState", "--property=NRestarts"]
    done = world.run(["systemctl", "show", *shown, *manifest.units], timeout_s=COMMAND_S)
    wrong = []
    for block in done.output.strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("ActiveState") != "active":
            wrong.append(f"{unit.get('Id')} is {unit.get('ActiveState')}")
        elif unit.get("NRestarts") != "0":
            # Between two deaths a unit is active: only the count tells.
            wrong.append(f"{unit.get('Id')} died and was started again")
    return ", ".join(wrong) or None


def _log(world: World, manifest: Manifest) -> str:
    """What each unit's own processes said at last, for people who cannot reach the host.

    Asked unit by unit, and without what systemd says about them: units that die by turns would push
    each other's reason out. A traceback's frames are left out; its last line is what is looked for.
    """
    parts = []
    for unit in manifest.units:
        argv = ["journalctl", "--no-pager", "-q", "-o", "cat", "-n", LOG_LINES]
        done = world.run([*argv, f"_SYSTEMD_UNIT={unit}"], timeout_s=COMMAND_S)
        said = [line for line in done.output.splitlines() if line.strip() and line[0] != " "]
        if said:
            parts.append(f"; {unit} said at last: {' / '.join(said[-LOG_KEPT:])[-LOG_CHARACTERS:]}")
    return "".join(parts)
