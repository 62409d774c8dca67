"""Kernel settings: the twin of `require.resources.sysctl`."""

from __future__ import annotations

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
        "running": the value, None when this kernel does not have it; "kept": the value that is set
        at boot by our file, or None.
    """
    return {"running": _running(spec["name"]), "kept": _kept(spec["name"])}


def _running(name: str) -> str | None:
    try:
        with open(_proc(name)) as found:
            return " ".join(found.read().split())
    except FileNotFoundError:
        return None


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
    return f"{KEPT}/60-turnaround-{name.replace('/', ':')}.conf"


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Set it for each boot, then in the running kernel.

    Args:
        spec: "name", "value".
        state: what `probe` saw just now.

    Raises:
        Refused: there is no /etc/sysctl.d.
        Failed: the kernel does not take the value, or does not let it be set here.
    """
    name, value = spec["name"], spec["value"]
    if state["kept"] != value:
        content = f"# Written by turnaround.\n{name} = {value}\n".encode()
        file.put(_path(name), content, mode=0o644)
    if state["running"] != value:
        try:
            handle = os.open(_proc(name), os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(handle, value.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise Failed(
                f"the kernel does not take {value!r} for {name}: {error.strerror}; at the next boot "
                "it is tried again"
            ) from error
