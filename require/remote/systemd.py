"""Units of systemd: the twin of `require.resources.systemd`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from require.remote.shell import Failed, Refused, run

PROPERTIES = "Id,Names,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,DropInPaths"
MAX_UNIT = 256 * 1024
ACTIVE = ("active", "reloading", "refreshing")

_seen: dict[str, dict[str, str]] = {}


def prefetch(specs: Sequence[dict[str, Any]]) -> None:
    """Ask systemd once for all units of this look."""
    names = list(dict.fromkeys(spec["name"] for spec in specs))
    if os.path.isdir("/run/systemd/system"):
        _seen.update(_show(names))


def _show(names: list[str]) -> dict[str, dict[str, str]]:
    """Return the properties of units by the name they were asked for.

    `systemctl show` answers in the order of its arguments, in paragraphs.
    """
    done = run(["systemctl", "show", f"--property={PROPERTIES}", "--", *names]).check()
    paragraphs = [part for part in done.out.split("\n\n") if part.strip()]
    units = [
        dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in paragraphs
    ]
    if len(units) != len(names):
        raise Failed(f"systemctl show answered for {len(units)} units instead of {len(names)}")
    return dict(zip(names, units, strict=True))


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a unit.

    Args:
        spec: "name" with suffix.

    Returns:
        "systemd": whether it runs here at all; "load": loaded, not-found, masked, …; "active";
        "enabled": as `systemctl is-enabled` says; "waits_for": paths of ConditionPathExists=
        that are not met.
    """
    if not os.path.isdir("/run/systemd/system"):
        return {"systemd": False}
    name = spec["name"]
    unit = _seen.get(name) or _show([name])[name]
    files = [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split()]
    return {
        "systemd": True,
        "load": unit.get("LoadState", "not-found"),
        "active": unit.get("ActiveState") in ACTIVE,
        "enabled": unit.get("UnitFileState", ""),
        "waits_for": [path for file in files if file for path in waits_for(file)],
    }


def waits_for(unit_file: str) -> list[str]:
    """Return what the ConditionPathExists= lines of a unit file still wait for."""
    try:
        with open(unit_file) as file:
            lines = file.read(MAX_UNIT).splitlines()
    except OSError:
        return []
    conditions = [
        line.split("=", 1)[1].strip() for line in lines if line.startswith("ConditionPathExists=")
    ]
    missing = []
    for condition in conditions:
        path = condition.lstrip("|!")
        # "%" is expanded by systemd; what it stands for is not known here.
        if path and "%" not in path and os.path.exists(path) == ("!" in condition):
            missing.append(condition)
    return missing


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Enable, disable, start or stop a unit.

    Args:
        spec: "name", "enabled", "running"; None leaves it.
        state: what `probe` saw just now.

    Raises:
        Refused: there is no such unit.
        Failed: with the last lines of the unit's own log.
    """
    name = spec["name"]
    if not state["systemd"]:
        raise Refused("systemd does not run on this host")
    if state["load"] == "not-found":
        if spec["enabled"] or spec["running"]:
            raise Refused(f"there is no unit {name}: declare its file, or the package that has it")
        return
    if spec["enabled"] is True and state["enabled"] == "disabled":
        run(["systemctl", "enable", "--", name]).check()
    if spec["enabled"] is False and state["enabled"] == "enabled":
        run(["systemctl", "disable", "--", name]).check()
    if spec["running"] is True and not state["active"]:
        _do("start", name)
    if spec["running"] is False and state["active"]:
        _do("stop", name)


def handle(spec: dict[str, Any]) -> None:
    """Run a handler.

    Args:
        spec: "verb" daemon-reload, restarted or reloaded; "name" of the unit.

    Raises:
        Failed: with the last lines of the unit's own log.
    """
    if not os.path.isdir("/run/systemd/system"):
        raise Failed("systemd does not run on this host")
    if spec["verb"] == "daemon-reload":
        run(["systemctl", "daemon-reload"], timeout_s=120).check()
        return
    # A unit that is gone has nothing to restart; when it comes back it reads what is new.
    if _show([spec["name"]])[spec["name"]].get("LoadState") != "not-found":
        _do("restart" if spec["verb"] == "restarted" else "reload-or-restart", spec["name"])


def _do(verb: str, name: str) -> None:
    done = run(["systemctl", verb, "--", name], timeout_s=180)
    if done.code == 0:
        return
    try:
        log = run(["journalctl", "--unit", name, "--lines=8", "--no-pager", "--output=cat"]).out
    except FileNotFoundError:
        log = ""
    lines = [line for line in f"{done.err}\n{log}".splitlines() if line.strip()]
    words = "; ".join(lines[-10:])
    raise Failed(f"systemctl {verb} {name} failed: {words}")
