"""How a campaign stands, for people: a line for each wave, then who failed and why, and who is awaited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.campaign_plan import STATES
from fleet.status import ago
from fleet.summary import one_line

COLUMNS = ("aircraft", *STATES)
MOST = 20
WIDTH = 160
_TOLD = ("failed", "left", "rolled back", "shipping", "pending", "returning", "off-line")


def table(campaign: Mapping[str, Any]) -> list[str]:
    """Returns one campaign as lines.

    Args:
        campaign: as the hangar tells it (`hangar_app.campaign_seen.look`).
    """
    reason = f": {campaign['reason']}" if campaign["reason"] else ""
    first = (
        f"{campaign['name']}  {campaign['kind']} {campaign['version']}  {campaign['state']}{reason}"
    )
    second = (
        f"  gate confirmed:{campaign['gate']}%, at most {campaign['max_failed']} failed, "
        f"{campaign['deadline']} landings, {campaign['at_once']} at once; "
        f"{campaign['operator']}, {ago(campaign['started_s_ago'])}"
    )
    return [first, second, *_waves(campaign), *_aircraft(campaign)]


def _waves(campaign: Mapping[str, Any]) -> list[str]:
    open_ones = [wave for wave in campaign["waves"] if wave["open"]]
    # Zeros in columns that no aircraft is in would only be in the way.
    shown = [c for c in COLUMNS if c in COLUMNS[:6] or any(wave[c] for wave in open_ones)]
    cells: list[Sequence[str]] = [["wave", *shown]]
    for wave in campaign["waves"]:
        counts = [str(wave[column]) for column in shown] if wave["open"] else ["not open yet"]
        cells.append([wave["wave"], *counts])
    widths = [max(len(row[n]) for row in cells if n < len(row) > 2) for n in range(len(cells[0]))]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    ]
    if campaign["in_no_wave"]:
        verb = "is" if campaign["in_no_wave"] == 1 else "are"
        lines.append(f"  {campaign['in_no_wave']} aircraft {verb} in no wave yet")
    return lines


def _aircraft(campaign: Mapping[str, Any]) -> list[str]:
    """Those of whom there is something to say, the worst first; the rest is in --json."""
    told = [each for each in campaign["aircraft"] if each["wave"] and each["state"] in _TOLD]
    told.sort(key=lambda each: _TOLD.index(each["state"]))
    lines = [f"  {each['name']}: {each['state']}{_why(each)}"[:WIDTH] for each in told[:MOST]]
    if len(told) > MOST:
        lines.append(f"  … and {len(told) - MOST} more aircraft: --json has all")
    return lines


def _why(each: Mapping[str, Any]) -> str:
    reason = one_line(each["reason"])
    if each["state"] == "off-line":
        heard = f"heard {ago(each['heard_s_ago'])}"
        return f", {heard}" + (f"; {reason}" if reason else "")
    if each["state"] == "pending" and not reason and each.get("phase") != "ground":
        return (
            f": its phase is {each.get('phase') or 'unknown'}, and it is shipped to on the ground"
        )
    return f": {reason}" if reason else ""
