"""One heartbeat's body: what this aircraft says of itself."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from common.health import schema_version
from common.settings import Settings
from onboard_app.avionics.store import Store, read_state
from sync import state

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
REASON = 500  # characters of why a release was returned from; all of it is aboard

Records = dict[str, dict[str, dict[str, Any]]]
"""What aboard remembers, by kind and version."""

log = logging.getLogger(__name__)


def body(
    settings: Settings,
    engine: Engine,
    store: Store,
    syncing: bool,
    now: datetime,
    boot_id: Path = BOOT_ID,
) -> dict[str, Any]:
    """The heartbeat.

    What cannot be read is left out, and the rest goes all the same: an aircraft whose database is
    broken is the one that the hangar must hear of.
    """
    flight, known = read_state(store), records(settings)
    told: dict[str, Any] = {
        "node": settings.node,
        "at": now.isoformat(timespec="milliseconds"),
        "boot_id": _text(boot_id),
        "phase": flight["phase"],
        "position": position(flight),
        "flight": flight["flight"],
        "releases": releases(settings, known),
        "returned": returned(known),
        "disk": disk(settings.state_dir),
        "syncing": syncing,
    }
    told |= _readable("the schema", lambda: {"schema": schema_version(engine)})
    told |= _readable("the streams", lambda: state.local_state(engine, settings))
    return told


def position(flight: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the aircraft is, or None when it does not know."""
    place = flight["position"]
    if not place:
        return None
    figures = ("altitude_ft", "ground_speed_kt", "heading_deg")
    return {**place, **{name: flight[name] for name in figures}}


def releases(settings: Settings, known: Records) -> dict[str, dict[str, str]]:
    """Which release of each kind is current, and how far it is trusted, as far as can be read."""
    found = {}
    for current in sorted(settings.current_dir.glob("[!.]*")):
        if current.is_dir():
            version = current.resolve().name
            record = known.get(current.name, {}).get(version, {})
            found[current.name] = {"version": version, "state": str(record.get("stage", "unknown"))}
    return found


def returned(known: Records) -> dict[str, str] | None:
    """The release that was last returned from or refused here, and why; None once a newer one is good.

    It may have happened with nobody near: this is how they hear of it.
    """
    newest: dict[str, str] = {}
    for kind, versions in known.items():
        # Where ops went back, a good one and a bad one are of the same second: that is no news.
        order = [
            (str(one["at"]), one["stage"] == "confirmed", version, str(one.get("reason") or ""))
            for version, one in versions.items()
            if one["stage"] in ("confirmed", "rolled_back")
        ]
        at, good, version, reason = max(order, default=("", True, "", ""))
        if not good and at > newest.get("at", ""):
            newest = {"kind": kind, "version": version, "at": at, "reason": reason[:REASON]}
    return newest or None


def records(settings: Settings) -> Records:
    """What aboard remembers of each release, as far as can be read."""
    kinds: Records = _json(settings.state_dir / "aboard" / "state.json").get("kinds", {})
    return kinds


def disk(folder: Path) -> dict[str, int] | None:
    """Bytes on the disk that content and change-sets live on."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return {"free": usage.free, "total": usage.total}


def _readable(what: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read()
    except (SQLAlchemyError, OSError, ValueError) as error:
        log.error("%s cannot be read, the heartbeat goes without: %s", what, error)
        return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
