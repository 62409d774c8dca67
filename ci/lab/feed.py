"""Plays a recorded flight into an aircraft's serial port, as its avionics bus would.

The words of a tick that are due together share one frame per channel. At the labels' true periods
that is about 1.1 kB/s, a tenth of what 115 200 baud 8N1 carries (11.5 kB/s), so nothing is thinned.
Flight time may run faster (`speed`); the periods on the wire stay true.
"""

from __future__ import annotations

import asyncio
import csv
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from ci.lab import arinc

TICK_S = 0.05
SLOW_MS = 1000  # clock, date, flight number
DISCRETES_MS = 250
WEIGHT_ON_WHEELS_MS = 200
SMOOTH_S = 45
# SYSENSIG, CPLD_REV0, GSM power and status: the box is well; every failure signal is clear.
DISCRETES = 1 << 10 | 1 << 8 | 1 << 3 | 1 << 7


@dataclass(frozen=True)
class Row:
    """The aircraft at one second of the recording; None was not measured."""

    t: float
    lat: float
    lon: float
    altitude_ft: float | None
    ground_speed_kt: float
    heading_deg: float
    mach: float | None
    tas_kt: float | None
    roll_deg: float | None
    on_ground: bool
    sat_c: float | None = None


def load(path: Path, window: str | None = None) -> list[Row]:
    """Reads a recording, or a window "600:1500" of it in seconds from its start, both included.

    Raises:
        ValueError: the window is not "FROM:TO", or no row lies in it.
    """
    first, last = _bounds(window)
    with path.open(newline="", encoding="ascii") as text:
        rows = [_row(record) for record in csv.DictReader(text)]
    chosen = [row for row in _with_temperature(rows) if first <= row.t <= last]
    if not chosen:
        raise ValueError(
            f"{path.name}: no row in the window {window}; the recording has 0 to {rows[-1].t:.0f} s"
        )
    return chosen


def _bounds(window: str | None) -> tuple[float, float]:
    if not window:
        return 0, math.inf
    try:
        first, last = window.split(":")
        return float(first or 0), float(last or math.inf)
    except ValueError:
        raise ValueError(
            f'window {window!r}: expected FROM:TO in seconds, such as "600:1500"'
        ) from None


def _row(record: dict[str, str]) -> Row:
    def number(name: str) -> float | None:
        return float(record[name]) if record[name] else None

    def measured(name: str) -> float:
        return float(record[name])

    return Row(
        t=measured("t"),
        lat=measured("lat"),
        lon=measured("lon"),
        altitude_ft=number("altitude_ft"),
        ground_speed_kt=measured("ground_speed_kt"),
        heading_deg=measured("heading_deg"),
        mach=number("mach"),
        tas_kt=number("tas_kt"),
        roll_deg=number("roll_deg"),
        on_ground=record["on_ground"] == "1",
    )


def _with_temperature(rows: list[Row]) -> Iterator[Row]:
    """Adds the static air temperature, from TAS = 38.968 kt x Mach x sqrt(T in kelvin).

    Mach is known in steps of 0.004 and TAS in steps of 2 kt: at low speed that alone is 8 degrees
    either way, so it is averaged over a minute and a half.
    """
    kelvins = [
        (row.tas_kt / (38.967854 * row.mach)) ** 2 if row.mach and row.tas_kt else None
        for row in rows
    ]
    for at, row in enumerate(rows):
        around = [k for k in kelvins[max(0, at - SMOOTH_S) : at + SMOOTH_S + 1] if k is not None]
        known = kelvins[at] is not None
        yield replace(row, sat_c=fmean(around) - 273.15) if known else row


def between(before: Row, after: Row, part: float) -> Row:
    """The aircraft between two rows, `part` (0 to 1) of the way; the wheels follow the first."""

    def mix(a: float, b: float) -> float:
        return a + (b - a) * part

    def maybe(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else mix(a, b)

    turn = (after.heading_deg - before.heading_deg + 180) % 360 - 180
    return Row(
        t=mix(before.t, after.t),
        lat=mix(before.lat, after.lat),
        lon=mix(before.lon, after.lon),
        altitude_ft=maybe(before.altitude_ft, after.altitude_ft),
        ground_speed_kt=mix(before.ground_speed_kt, after.ground_speed_kt),
        heading_deg=(before.heading_deg + turn * part) % 360,
        mach=maybe(before.mach, after.mach),
        tas_kt=maybe(before.tas_kt, after.tas_kt),
        roll_deg=maybe(before.roll_deg, after.roll_deg),
        on_ground=before.on_ground,
        sat_c=maybe(before.sat_c, after.sat_c),
    )


def at(rows: Sequence[Row], flown_s: float) -> Row:
    """The aircraft `flown_s` seconds after the first row; after the last row it stays there."""
    index = int(flown_s)
    if index >= len(rows) - 1:
        return rows[-1]
    return between(rows[index], rows[index + 1], flown_s - index)


def frames(row: Row, now_ms: int, flight: str, utc: datetime) -> bytes:
    """The serial frames of what is due in the tick at `now_ms`.

    Pitch and wind are not in the recording: they go as *no computed data*.
    """
    words: dict[int, list[int]] = {arinc.AIR_DATA: [], arinc.INERTIAL: []}
    for name, quantity in arinc.QUANTITIES.items():
        if now_ms % quantity.period_ms == 0:
            words[quantity.channel].append(arinc.quantity(name, getattr(row, name, None)))
    if now_ms % WEIGHT_ON_WHEELS_MS == 0:
        words[arinc.AIR_DATA].append(arinc.weight_on_wheels(row.on_ground))
    if now_ms % SLOW_MS == 0:
        words[arinc.INERTIAL] += [
            arinc.utc_time(utc),
            arinc.date(utc),
            *arinc.flight_number(flight),
        ]
    out = b"".join(arinc.words_frame(channel, due) for channel, due in words.items() if due)
    if now_ms % DISCRETES_MS == 0:
        out += arinc.discretes_frame(DISCRETES)
    return out


async def play(
    write: Callable[[bytes], None],
    rows: Sequence[Row],
    speed: float = 1.0,
    *,
    flight: str,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    utc: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Sends the rows until cancelled; after the last one it goes on sending that.

    Args:
        write: takes the bytes of a tick; should not block (a full port may drop them).
        rows: one per second of flight, from `load`.
        speed: seconds of flight per second.
        flight: the flight number to send, at most eight characters.
        clock: seconds, monotonic; the event loop's if not given.
        sleep: waits that many seconds.
        utc: what the aircraft's clock says. It is the real time, not the recording's.
    """
    clock = clock or asyncio.get_running_loop().time
    start, tick = clock(), 0
    while True:
        row = at(rows, tick * TICK_S * speed)
        write(frames(row, tick * round(TICK_S * 1000), flight, utc()))
        tick += 1
        await sleep(max(0.0, start + tick * TICK_S - clock()))
