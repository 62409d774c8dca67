"""The SSH server's settings: the twin of `require.resources.ssh`."""

from __future__ import annotations

import glob
import os
from typing import Any

from require.remote import file
from require.remote.shell import run

CONFIG = "/etc/ssh/sshd_config"
# Without it sshd answers nothing; its unit makes it at its start and removes it at its end.
RUNTIME = "/run/sshd"
# Of these sshd takes all that it reads; of the others the first.
ADDED_UP = ("acceptenv", "denygroups", "denyusers", "hostkey")


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at the file and, where that is as wished, at what sshd makes of the whole configuration.

    Args:
        spec: as of a file, and "names" of settings in lower case.

    Returns:
        As of a file; where its content is as wished and sshd has been started, also "broken": what
        it has against the configuration, or ""; "shadowed": by name of a setting that has no effect
        [value there is, value wanted, where else it is set], the second "" where sshd tells none.
    """
    state = file.probe(spec)
    if state.get("sha") != spec["sha"] or not os.path.isdir(RUNTIME):
        return state
    whole = run(["sshd", "-T"])
    # What these settings mean, in sshd's own spelling.
    alone = run(["sshd", "-T", "-f", spec["path"]])
    state |= {"broken": "", "shadowed": {}}
    if whole.code != 0 or alone.code != 0:
        return state | {"broken": (whole.err or alone.err).strip()[-500:]}
    found, wanted = _values(whole.out), _values(alone.out)
    for name in spec["names"]:
        now, then = found.get(name, []), wanted.get(name, [])
        # One that it does not tell even alone has no effect, or another name by now.
        if not then or (not set(now) >= set(then) if name in ADDED_UP else now != then):
            state["shadowed"][name] = [" ".join(now), " ".join(then), _places(name, spec["path"])]
    return state


def _values(text: str) -> dict[str, list[str]]:
    """Return the values of each setting that `sshd -T` tells."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        values.setdefault(name, []).append(value)
    return values


def _places(name: str, ours: str) -> str:
    """Return where else a setting is written: file and line, in the order that sshd reads them."""
    folder = os.path.dirname(ours)
    places = []
    for path in [*sorted(glob.glob(f"{folder}/*.conf")), CONFIG]:
        if path != ours:
            with open(path, errors="replace") as lines:
                places += [
                    f"{path}:{number}"
                    for number, line in enumerate(lines, 1)
                    if line.replace("=", " ").lower().split()[:1] == [name]
                ]
    return ", ".join(places)


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Put the file in place once `sshd -t` accepts the whole configuration with it.

    Args:
        spec: as of a file.
        state: what `probe` saw just now.

    Raises:
        Refused: as of a file.
    """
    os.makedirs(RUNTIME, 0o755, exist_ok=True)
    file.apply(spec, state)
