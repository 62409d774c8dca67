"""A host's name, time zone and locale: the twin of `require.resources.host`."""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from require.remote import file, line
from require.remote.shell import Refused, run

HOSTNAME = "/etc/hostname"
LOCALTIME = "/etc/localtime"
TIMEZONE = "/etc/timezone"
ZONES = "/usr/share/zoneinfo"
LANG = "/etc/default/locale"
LISTED = "/etc/locale.gen"
SUPPORTED = "/usr/share/i18n/SUPPORTED"
GENERATE = "/usr/sbin/locale-gen"


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at one of the three.

    Args:
        spec: "name" (any), "zone", or "locales" (names).

    Returns:
        Of the name: "running"; "kept", the one at boot, or None.
        Of the time zone: "zone" that /etc/localtime names, and "named" in /etc/timezone, or None;
        "known": the one that is wished exists.
        Of the locale: "lang", or None; of the names those that are "missing", and those that are
        "unlisted", so that they are not made again with the next C library; "generates": they can
        be made here.
    """
    if "zone" in spec:
        known = os.path.isfile(f"{ZONES}/{spec['zone']}")
        return {"zone": _zone(), "named": _last(TIMEZONE, ""), "known": known}
    if "locales" in spec:
        names, listed, generates = spec["locales"], _lines(LISTED), os.path.exists(GENERATE)
        # Not setlocale(): a process never sees what was made after it began.
        there = run(["locale", "-a"]).out.replace(".utf8", ".UTF-8").split()
        return {
            "lang": _last(LANG, "LANG="),
            "missing": [name for name in names if name not in there],
            "unlisted": [name for name in names if generates and f"{name} UTF-8" not in listed],
            "generates": generates,
        }
    return {"running": os.uname().nodename, "kept": _last(HOSTNAME, "")}


def _lines(path: str) -> list[str]:
    try:
        with open(path) as found:
            return [each.strip() for each in found if each.strip() and each[0] != "#"]
    except FileNotFoundError:
        return []


def _last(path: str, begin: str) -> str | None:
    """Return what the last line that begins so goes on with."""
    found = [each[len(begin) :].strip("\"'") for each in _lines(path) if each.startswith(begin)]
    return found[-1] if found else None


def _zone() -> str | None:
    if not os.path.islink(LOCALTIME):
        return "a file that is no link" if os.path.exists(LOCALTIME) else None
    target = os.path.join("/etc", os.readlink(LOCALTIME))
    return os.path.normpath(target).removeprefix(f"{ZONES}/")


def apply(spec: dict[str, Any], state: dict[str, Any]) -> None:
    """Set one of the three, for now and for each boot.

    Args:
        spec: the question; of the locale also "lang".
        state: what `probe` saw just now.

    Raises:
        Refused: there is no such zone or locale, or none can be made here.
        Failed: locales could not be made.
    """
    if "zone" in spec:
        _set_zone(spec["zone"], state)
    elif "locales" in spec:
        _generate(
            [name for name in spec["locales"] if name in state["missing"] + state["unlisted"]]
        )
        _line(LANG, f"LANG={spec['lang']}", "^LANG=")
    else:
        file.put(HOSTNAME, f"{spec['name']}\n".encode(), mode=0o644)
        # The kernel's own call: neither D-Bus nor systemd need be there.
        socket.sethostname(spec["name"])


def _set_zone(zone: str, state: dict[str, Any]) -> None:
    if not state["known"]:
        raise Refused(
            f"there is no {ZONES}/{zone}: it comes with the package tzdata, or, as a former name, "
            "with tzdata-legacy"
        )
    link = {"path": LOCALTIME, "kind": "link", "target": f"{ZONES}/{zone}"}
    if state["zone"] != zone:
        file.apply(link, file.probe(link))
    if state["named"] not in (None, zone):
        file.put(TIMEZONE, f"{zone}\n".encode())


def _generate(names: list[str]) -> None:
    if not names:
        return
    if not os.path.exists(GENERATE):
        raise Refused(
            f"there is no {GENERATE} to make {', '.join(names)}: declare "
            'require.apt.packages(["locales"])'
        )
    supported = _lines(SUPPORTED)
    for name in names:
        if f"{name} UTF-8" not in supported:
            raise Refused(f"there is no locale {name}: {SUPPORTED} lists those there are")
    for name in names:
        _line(LISTED, f"{name} UTF-8", rf"^[# ]*{re.escape(name)} UTF-8\s*$")
    run([GENERATE, "--keep-existing"], timeout_s=600).check()


def _line(path: str, text: str, match: str) -> None:
    spec = {"path": path, "verb": "present", "text": text, "match": match, "validate": []}
    line.apply(spec, line.probe(spec))
