"""Units of systemd: the twin of `require.resources.systemd`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from require.remote.shell import Failed, Refused, run

PROPERTIES = "LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths,NeedDaemonReload"
UNITS = "/etc/systemd/system"
MAX_UNIT = 256 * 1024
ACTIVE = ("active", "reloading", "refreshing")
# Of what `systemctl is-enabled` says, what can be enabled and what can be disabled. All else has
# nothing to install of its own (static, indirect, generated, transient, alias), or is masked.
OFF = ("disabled", "enabled-runtime", "linked", "linked-runtime")
ON = ("enabled", "enabled-runtime")
MASKED = ("masked", "masked-runtime")
BROKEN = ("bad-setting", "error")

_seen: dict[str, dict[str, str]] = {}


def prefetch(specs: Sequence[dict[str, Any]]) -> None:
    """Ask systemd once for all units of this look."""
    names = list(dict.fromkeys(spec["name"] for spec in specs))
    if os.path.isdir("/run/systemd/system"):
        _seen.update(_show(names))


def _show(names: list[str], properties: str = PROPERTIES) -> dict[str, dict[str, str]]:
    """Return the properties of units by the name they were asked for.

    `systemctl show` answers in the order of its arguments, in paragraphs.
    """
    done = run(["systemctl", "show", f"--property={properties}", "--", *names]).check()
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
        "enabled": as `systemctl is-enabled` says; "own": a file is where a mask would be;
        "stale": its files are not those that systemd has read; "waits_for": paths of
        ConditionPathExists= that are not met.
    """
    if not os.path.isdir("/run/systemd/system"):
        return {"systemd": False}
    name = spec["name"]
    unit = _seen.get(name) or _show([name])[name]
    files = [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split()]
    own = f"{UNITS}/{name}"
    return {
        "systemd": True,
        "load": unit.get("LoadState", "not-found"),
        "active": unit.get("ActiveState") in ACTIVE,
        "enabled": unit.get("UnitFileState", ""),
        "own": os.path.lexists(own) and os.path.realpath(own) != "/dev/null",
        "stale": unit.get("NeedDaemonReload") == "yes",
        "waits_for": waits_for([file for file in files if file]),
    }


def waits_for(unit_files: Sequence[str]) -> list[str]:
    """Return what the ConditionPathExists= lines of a unit's files still wait for; an empty condition
    of any kind takes back those before it."""
    conditions: list[str] = []
    for path in unit_files:
        for line in _lines(path):
            name, _, value = line.partition("=")
            if name.startswith("Condition") and not value.strip():
                conditions.clear()
            elif name == "ConditionPathExists":
                conditions.append(value.strip())
    missing = []
    for condition in conditions:
        path = condition.lstrip("|!")
        # "%" is expanded by systemd; what it stands for is not known here.
        if path and "%" not in path and os.path.exists(path) == ("!" in condition):
            missing.append(condition)
    return missing


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read(MAX_UNIT).splitlines()
    except OSError:
        return []


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Mask or unmask a unit; or enable, disable, start or stop it.

    Args:
        spec: "name", and "masked", or "enabled" and "running", where None leaves it.
        state: what `probe` saw just now.

    Raises:
        Refused: there is no such unit, it is masked, or systemd cannot load it.
        Failed: with the last lines of the unit's own log.
    """
    if not state["systemd"]:
        raise Refused("systemd does not run on this host")
    if "masked" in spec:
        _mask(spec["name"], spec["masked"], state)
    else:
        _service(spec, state)


def _mask(name: str, masked: bool, state: dict[str, Any]) -> None:
    if not masked:
        run(["systemctl", "unmask", "--", name]).check()
        run(["systemctl", "unmask", "--runtime", "--", name]).check()
        return
    if state["enabled"] != "masked":
        run(["systemctl", "mask", "--", name]).check()
    if state["active"]:
        _do("stop", name)


def _service(spec: dict[str, Any], state: dict[str, Any]) -> None:
    name, enabled, running = spec["name"], spec["enabled"], spec["running"]
    if enabled or running:
        if state["load"] == "not-found":
            raise Refused(f"there is no unit {name}: declare its file, or the package that has it")
        if state["load"] == "masked":
            raise Refused(
                f"{name} is masked, so somebody forbade it to start: if it may, declare "
                f"require.systemd.unmasked({name!r}), or run systemctl unmask {name}"
            )
        if state["load"] in BROKEN:
            raise Refused(
                f"systemd cannot load {name} ({state['load']}): systemd-analyze verify {name} "
                "says why"
            )
    if state["stale"]:
        handle({"verb": "daemon-reload"})
    if enabled is True and state["enabled"] in OFF:
        run(["systemctl", "enable", "--", name]).check()
    if enabled is False and state["enabled"] in ON:
        where = ["--runtime"] if state["enabled"] == "enabled-runtime" else []
        run(["systemctl", "disable", *where, "--", name]).check()
    if running is True and not state["active"]:
        _do("start", name)
    if running is False and state["active"]:
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
    # A unit that is gone, or masked and stopped, has nothing to restart; when it comes back it reads
    # what is new.
    unit = _show([spec["name"]])[spec["name"]]
    masked = unit.get("LoadState") == "masked" and unit.get("ActiveState") not in ACTIVE
    if unit.get("LoadState") != "not-found" and not masked:
        _do("restart" if spec["verb"] == "restarted" else "reload-or-restart", spec["name"])


def _do(verb: str, name: str) -> None:
    # A socket cannot listen while what it starts runs without it.
    around = _triggered(name) if name.endswith(".socket") and verb != "stop" else []
    if around:
        run(["systemctl", "stop", "--", *around], timeout_s=180).check()
    done = run(["systemctl", verb, "--", name], timeout_s=180)
    again = run(["systemctl", "start", "--", *around], timeout_s=180) if around else done
    if done.code == 0:
        again.check()
        return
    try:
        log = run(["journalctl", "--unit", name, "--lines=8", "--no-pager", "--output=cat"]).out
    except FileNotFoundError:
        log = ""
    lines = [line for line in f"{done.err}\n{log}".splitlines() if line.strip()]
    words = "; ".join(lines[-10:])
    raise Failed(f"systemctl {verb} {name} failed: {words}")


def _triggered(name: str) -> list[str]:
    """Return the units that a socket hands itself to and that run now; those that get a connection
    each are not in its way."""
    socket = _show([name], "Accept,Triggers")[name]
    names = socket.get("Triggers", "").split() if socket.get("Accept") != "yes" else []
    units = _show(names) if names else {}
    return [each for each, unit in units.items() if unit.get("ActiveState") in ACTIVE]
