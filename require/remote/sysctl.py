"""Kernel settings: the twin of `require.resources.sysctl`."""

from __future__ import annotations

import glob
import os
from typing import Any

from require.remote import file
from require.remote.shell import Failed

PROC = "/proc/sys"
KEPT = "/etc/sysctl.d"


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a setting.

    Args:
        spec: "name".

    Returns:
        "running": the value, None when this kernel does not have it, several different ones with
        commas between; "kept": the value that is set at boot by our file, or None.
    """
    values = sorted({value for _, value in _running(spec["name"])})
    return {"running": ", ".join(values) if values else None, "kept": _kept(spec["name"])}


def _running(name: str) -> list[tuple[str, str]]:
    """Return the files of a setting in /proc/sys, and what each one holds."""
    values = []
    for path in glob.glob(_proc(name)):
        try:
            with open(path) as found:
                values.append((path, " ".join(found.read().split())))
        except FileNotFoundError:
            # An interface may go while we look.
            continue
    return values


def _kept(name: str) -> str | None:
    try:
        with open(_path(name)) as found:
            lines = [line.partition("=") for line in found if not line.startswith("#")]
    except FileNotFoundError:
        return None
    values = [value.strip() for key, _, value in lines if key.strip() == name]
    return values[-1] if values else None


def _proc(name: str) -> str:
    # As sysctl(8) reads it: a dot parts folders, a slash stands for a dot in one's name.
    return f"{PROC}/{name.translate({ord('.'): '/', ord('/'): '.'})}"


def _path(name: str) -> str:
    return f"{KEPT}/60-turnaround-{name.translate({ord('/'): ':', ord('*'): '@'})}.conf"


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Set it for each boot, then in the running kernel.

    Args:
        spec: "name", "value"; "now": in the running kernel too.
        state: what `probe` saw just now.

    Raises:
        Refused: there is no /etc/sysctl.d.
        Failed: the kernel does not take the value, or does not let it be set here.
    """
    name, value = spec["name"], spec["value"]
    if state["kept"] != value:
        content = f"# Written by turnaround.\n{name} = {value}\n".encode()
        file.put(_path(name), content, mode=0o644)
    if not spec["now"]:
        return
    for path, running in _running(name):
        if running == value:
            continue
        try:
            handle = os.open(path, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(handle, value.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise Failed(
                f"the kernel does not take {value!r} for {name}: {error.strerror}; at the next boot "
                "it is tried again"
            ) from error
