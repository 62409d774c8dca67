"""The portal's map as numbers an SVG can draw: land, track, cities, the aircraft.

The projection is plain: degrees, with longitudes narrowed by the cosine of the middle latitude. That
is right enough for the hour of flight around us, and for nothing at the poles.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from onboard_app.flightinfo.cities import CITIES

WIDTH, HEIGHT = 800, 500
MARGIN = 0.22
SMALLEST_SPAN_DEG = 5.0
SNAP_DEG = 0.5  # so that the land of one view serves many requests
# A label's room: its letters on a phone, where they are largest. Of two that would touch the less
# important is left out, and so is one that the aircraft stands on.
LETTER, LABEL_HEIGHT, PLANE = 13, 34, 40

Point = tuple[float, float]


@dataclass(frozen=True)
class View:
    """What of the world is seen, in degrees; `east` may lie beyond 180."""

    west: float
    south: float
    east: float
    north: float

    def xy(self, lat: float, lon: float) -> Point:
        """Where a place is drawn."""
        x = (lon - self.west) / (self.east - self.west) * WIDTH
        y = (self.north - lat) / (self.north - self.south) * HEIGHT
        return round(x, 1), round(y, 1)


@dataclass(frozen=True)
class Drawing:
    """The map, in units of its own width and height."""

    width: int
    height: int
    land: str
    track: str
    cities: tuple[tuple[str, float, float], ...]
    plane: tuple[float, float, float] | None  # x, y, heading in degrees


def draw(here: Point | None, heading_deg: float | None, track: Sequence[Point]) -> Drawing | None:
    """Draws the map around the aircraft and its track.

    Args:
        here: latitude and longitude, or None when they are not known.
        heading_deg: true; the aircraft points north when it is not known.
        track: earlier places, oldest first.

    Returns None when there is no place to show at all.
    """
    places = [*track, here] if here else list(track)
    if not places:
        return None
    places = _unwrapped(places)
    view = view_of(places)
    plane: tuple[float, float, float] | None = None
    if here:
        plane = (*view.xy(*places[-1]), heading_deg or 0.0)
    return Drawing(WIDTH, HEIGHT, land(view), _line(view, places), _cities(view, plane), plane)


def _unwrapped(places: Sequence[Point]) -> list[Point]:
    """Longitudes counted on across the date line instead of jumping by 360."""
    last = places[-1][1]
    return [(lat, last + (lon - last + 180) % 360 - 180) for lat, lon in places]


def view_of(places: Sequence[Point]) -> View:
    """The view that holds all places with room around them."""
    lats, lons = [p[0] for p in places], [p[1] for p in places]
    lat, lon = (min(lats) + max(lats)) / 2, (min(lons) + max(lons)) / 2
    narrow = max(0.2, math.cos(math.radians(lat)))
    high = max(SMALLEST_SPAN_DEG, (max(lats) - min(lats)) * (1 + 2 * MARGIN))
    high = max(high, (max(lons) - min(lons)) * (1 + 2 * MARGIN) * narrow * HEIGHT / WIDTH)
    high = math.ceil(high / SNAP_DEG) * SNAP_DEG
    wide = high / narrow * WIDTH / HEIGHT
    lat, lon = round(lat / SNAP_DEG) * SNAP_DEG, round(lon / SNAP_DEG) * SNAP_DEG
    narrow_sides = round(wide / 2, 2)
    return View(lon - narrow_sides, lat - high / 2, lon + narrow_sides, lat + high / 2)


@cache
def _rings() -> list[tuple[tuple[float, float, float, float], list[Point]]]:
    """The world's rings as (west, south, east, north) and (longitude, latitude) points."""
    rings = []
    for flat in json.loads(Path(__file__).with_name("world.json").read_text()):
        ring = [(flat[i] / 100, flat[i + 1] / 100) for i in range(0, len(flat), 2)]
        xs, ys = [p[0] for p in ring], [p[1] for p in ring]
        rings.append(((min(xs), min(ys), max(xs), max(ys)), ring))
    return rings


@lru_cache(maxsize=64)
def land(view: View) -> str:
    """The path of the land in a view, cut off a little outside of its edges."""
    edge = 0.2
    box = (view.west - edge, view.south - edge, view.east + edge, view.north + edge)
    pieces = []
    for (west, south, east, north), ring in _rings():
        for turn in (-360, 0, 360):
            if west + turn > box[2] or east + turn < box[0] or south > box[3] or north < box[1]:
                continue
            cut = _clip([(x + turn, y) for x, y in ring], box)
            if len(cut) > 2:
                pieces.append(_path([view.xy(lat, lon) for lon, lat in cut]) + "z")
    return "".join(pieces)


def _clip(ring: list[Point], box: tuple[float, float, float, float]) -> list[Point]:
    """Sutherland and Hodgman: cuts a ring at each side of the box in turn."""
    for axis, limit, sign in ((0, box[0], 1), (0, box[2], -1), (1, box[1], 1), (1, box[3], -1)):
        ring = _cut(ring, lambda p, a=axis, m=limit, s=sign: (p[a] - m) * s)  # type: ignore[misc]
    return ring


def _cut(ring: list[Point], inside: Callable[[Point], float]) -> list[Point]:
    kept: list[Point] = []
    for before, point in zip(ring[-1:] + ring[:-1], ring, strict=True):
        a, b = inside(before), inside(point)
        if (a < 0) != (b < 0):
            part = a / (a - b)
            kept.append(
                (
                    before[0] + (point[0] - before[0]) * part,
                    before[1] + (point[1] - before[1]) * part,
                )
            )
        if b >= 0:
            kept.append(point)
    return kept


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _line(view: View, places: Sequence[Point]) -> str:
    return _path([view.xy(*place) for place in places]) if len(places) > 1 else ""


def _cities(
    view: View, plane: tuple[float, float, float] | None
) -> tuple[tuple[str, float, float], ...]:
    shown: list[tuple[str, float, float]] = []
    taken = [] if plane is None else [(plane[0] - PLANE, plane[1], plane[0] + PLANE)]
    for name, lat, lon in CITIES:
        x, y = view.xy(lat, view.west + (lon - view.west) % 360)
        end = x + 12 + LETTER * len(name)
        if x < 12 or end > WIDTH or not 20 < y < HEIGHT - 20:
            continue
        if all(end < left or right < x or abs(y - b) > LABEL_HEIGHT for left, b, right in taken):
            shown.append((name, x, y))
            taken.append((x - 6, y, end))
    return tuple(shown)
