"""Makes world.json, the outlines behind the portal's map, from Natural Earth's data.

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python3 make_world.py package/countries-50m.json >world.json

world-atlas (ISC licence) carries Natural Earth's 1:50m countries (public domain) as TopoJSON. Each
ring of a country becomes a list of longitude, latitude, longitude, … in hundredths of a degree,
thinned to about three kilometres; islands smaller than twelve are left out.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

TOLERANCE = 0.03  # degrees
SMALLEST = 0.12

Point = tuple[float, float]


def arcs_of(topology: dict[str, Any]) -> list[list[Point]]:
    """The arcs in degrees: TopoJSON stores them as integer steps from point to point."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for steps in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in steps:
            x, y = x + dx, y + dy
            points.append((x * sx + tx, y * sy + ty))
        arcs.append(points)
    return arcs


def thin(points: list[Point], tolerance: float) -> list[Point]:
    """Douglas and Peucker's line simplification."""
    if len(points) < 3:
        return points
    (ax, ay), (bx, by) = points[0], points[-1]
    dx, dy = bx - ax, by - ay
    length = math.hypot(dx, dy)

    def away(p: Point) -> float:
        if not length:
            return math.hypot(p[0] - ax, p[1] - ay)
        return abs(dx * (p[1] - ay) - dy * (p[0] - ax)) / length

    far, index = max((away(p), i) for i, p in enumerate(points[1:-1], 1))
    if far <= tolerance:
        return [points[0], points[-1]]
    return thin(points[: index + 1], tolerance)[:-1] + thin(points[index:], tolerance)


def rings_of(geometry: dict[str, Any]) -> list[list[int]]:
    """The arc numbers of each ring of a country."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    return [ring for polygon in polygons for ring in polygon]


def main(path: str) -> None:
    with open(path, encoding="utf-8") as text:
        topology = json.load(text)
    arcs = [thin(arc, TOLERANCE) for arc in arcs_of(topology)]
    rings = [
        ring
        for country in topology["objects"]["countries"]["geometries"]
        if country.get("arcs")
        for ring in rings_of(country)
    ]

    def drawn(ring: list[int]) -> list[Point]:
        points: list[Point] = []
        for number in ring:
            arc = arcs[number] if number >= 0 else arcs[~number][::-1]
            points += arc[1:] if points else arc
        return points

    def large(points: list[Point]) -> bool:
        return (
            max(max(p[i] for p in points) - min(p[i] for p in points) for i in (0, 1)) >= SMALLEST
        )

    def rounded(points: list[Point]) -> list[int]:
        return [round(v * 100) for p in points for v in p]

    land = [rounded(points) for points in map(drawn, rings) if large(points)]
    json.dump(land, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1])
