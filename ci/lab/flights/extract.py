"""Makes AFR34ZG.csv out of the raw Mode-S frames that the `traffic` package carries as sample data.

Every figure comes from a decoded frame; README.md says which and what was interpolated.
Needs pyModeS 3, which nothing else here needs, so it runs in an environment of its own:

    python3 -m venv /tmp/modes && /tmp/modes/bin/pip install pyModeS==3.6.1
    /tmp/modes/bin/pip download traffic==2.13 --no-deps -d /tmp/modes
    cd ci/lab/flights
    /tmp/modes/bin/python extract.py /tmp/modes/traffic-2.13-py3-none-any.whl >AFR34ZG.csv
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import statistics
import sys
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TextIO

SAMPLE = "traffic/data/samples/rs1090/full_flight_short.jsonl"
START = 1720248190  # 2024-07-06T06:43:10Z, the first whole second of the recording
HALF_WAY_S = 2000  # surface positions are only unique near a known place: which airport, by time
DEPARTURE, ARRIVAL = "LFPG", "LFBO"
COLUMNS = (
    "t",
    "lat",
    "lon",
    "altitude_ft",
    "ground_speed_kt",
    "heading_deg",
    "mach",
    "tas_kt",
    "roll_deg",
    "on_ground",
)
# Magnetic to true heading. Both airports lie between 1.4° and 1.8° east in July 2024.
VARIATION_DEG = 1.6

Sample = tuple[float, float]


@dataclass
class Track:
    """One measured quantity: samples (seconds from START, value) in the order of time."""

    longest_gap_s: float
    circular: bool = False
    samples: list[Sample] = field(default_factory=list)

    def add(self, at: float, value: Any) -> None:
        if value is not None:
            self.samples.append((at, float(value)))

    def without_outliers(self, tolerance: float, neighbours: int = 4) -> Track:
        """Drops what lies further than `tolerance` from the median around it.

        Comm-B replies do not say which register they carry; the decoder infers it, and now and
        then infers wrong.
        """
        kept = []
        for index, (at, value) in enumerate(self.samples):
            around = self.samples[max(0, index - neighbours) : index + neighbours + 1]
            away = [_turn(value, v) if self.circular else v - value for _, v in around]
            if abs(statistics.median(away)) <= tolerance:
                kept.append((at, value))
        return Track(self.longest_gap_s, self.circular, kept)

    def at(self, t: float) -> float | None:
        """The value at `t`, linear between the samples on either side; None across a long gap."""
        right = bisect_left(self.samples, (t, -math.inf))
        if right == len(self.samples) or right == 0:
            near = self.samples[min(right, len(self.samples) - 1)] if self.samples else None
            return near[1] if near and abs(near[0] - t) <= 1 else None
        (t0, v0), (t1, v1) = self.samples[right - 1], self.samples[right]
        if t1 - t0 > self.longest_gap_s:
            return None
        part = (t - t0) / (t1 - t0) if t1 > t0 else 1.0
        step = _turn(v0, v1) if self.circular else v1 - v0
        value = v0 + part * step
        return value % 360 if self.circular else value


def _turn(start: float, end: float) -> float:
    """The short way from one angle to another, in degrees, -180 to 180."""
    return (end - start + 180) % 360 - 180


def frames(wheel: str) -> Iterator[tuple[float, str]]:
    """The recording's raw frames as (epoch seconds, hex); the fields decoded there are not read."""
    with zipfile.ZipFile(wheel) as archive, archive.open(SAMPLE) as lines:
        for line in lines:
            record = json.loads(line)
            yield record["timestamp"], record["frame"]


@dataclass
class Recording:
    """What was decoded, one track per quantity, and where the wheels were."""

    lat: Track = field(default_factory=lambda: Track(12))
    lon: Track = field(default_factory=lambda: Track(12))
    altitude_ft: Track = field(default_factory=lambda: Track(30))
    ground_speed_kt: Track = field(default_factory=lambda: Track(7))
    heading_deg: Track = field(default_factory=lambda: Track(30, circular=True))
    track_deg: Track = field(default_factory=lambda: Track(7, circular=True))
    mach: Track = field(default_factory=lambda: Track(30))
    tas_kt: Track = field(default_factory=lambda: Track(30))
    roll_deg: Track = field(default_factory=lambda: Track(30))
    on_ground: list[tuple[float, bool]] = field(default_factory=list)

    def read(self, source: Iterable[tuple[float, str]]) -> Recording:
        modes = importlib.import_module("pyModeS")
        departure = modes.PipeDecoder(surface_ref=DEPARTURE)
        arrival = modes.PipeDecoder(surface_ref=ARRIVAL)
        for epoch, frame in source:
            at = epoch - START
            # Both read every frame, so that the one taken over to half-way already has its state.
            near_departure = departure.decode(frame, timestamp=epoch)
            near_arrival = arrival.decode(frame, timestamp=epoch)
            self._take(at, near_departure if at < HALF_WAY_S else near_arrival)
        self.altitude_ft = self.altitude_ft.without_outliers(200)
        self.heading_deg = self.heading_deg.without_outliers(15)
        self.mach = self.mach.without_outliers(0.03)
        self.tas_kt = self.tas_kt.without_outliers(20)
        self.roll_deg = self.roll_deg.without_outliers(10)
        return self

    def _take(self, at: float, message: Any) -> None:
        register = message.get("bds")
        if register in ("0,5", "0,6"):
            self.lat.add(at, message.get("latitude"))
            self.lon.add(at, message.get("longitude"))
            self.on_ground.append((at, register == "0,6"))
        if register == "0,6":
            self.ground_speed_kt.add(at, message.get("groundspeed"))
            if message.get("track_status"):
                self.track_deg.add(at, message.get("track"))
        elif register == "0,9":
            self.ground_speed_kt.add(at, message.get("groundspeed"))
            self.track_deg.add(at, message.get("track"))
        elif register == "6,0":
            magnetic = message.get("magnetic_heading")
            self.heading_deg.add(at, None if magnetic is None else magnetic + VARIATION_DEG)
            self.mach.add(at, message.get("mach"))
        elif register == "5,0":
            self.tas_kt.add(at, message.get("true_airspeed"))
            self.roll_deg.add(at, message.get("roll"))
        if message.get("df") in (0, 4, 16, 20) or register == "0,5":
            self.altitude_ft.add(at, message.get("altitude"))

    def grounded(self, t: float) -> bool:
        """Whether the last position frame at `t` was a surface frame."""
        index = bisect_right(self.on_ground, (t, True))
        return self.on_ground[max(0, index - 1)][1]

    def row(self, t: int) -> list[str]:
        ground = self.grounded(t)
        # A surface frame's angle is where the nose points; aloft only Comm-B has the heading, and
        # it is asked for the first time some seconds after lift-off: there the track stands in.
        heading = None if ground else self.heading_deg.at(t)
        heading = self.track_deg.at(t) if heading is None else heading
        return [
            str(t),
            _text(self.lat.at(t), 5),
            _text(self.lon.at(t), 5),
            _text(self.altitude_ft.at(t), 0),
            _text(self.ground_speed_kt.at(t), 1),
            _text(heading, 1),
            _text(None if ground else self.mach.at(t), 3),
            _text(None if ground else self.tas_kt.at(t), 0),
            _text(None if ground else self.roll_deg.at(t), 1),
            "1" if ground else "0",
        ]


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main(wheel: str, out: TextIO) -> None:
    recording = Recording().read(frames(wheel))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    last = math.floor(recording.on_ground[-1][0])
    writer.writerows(recording.row(t) for t in range(last + 1))
    gaps = [b[0] - a[0] for a, b in pairwise(recording.lat.samples)]
    print(f"{last + 1} rows; longest gap between positions {max(gaps):.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], sys.stdout)
