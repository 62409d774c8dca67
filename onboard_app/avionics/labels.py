"""The labels this aircraft's bus carries, keyed by channel and label: the same label means
different things on different channels.

Full scales follow the formulas public research code uses for an air data computer and an inertial
reference; bit positions of the discrete, clock and flight number words differ between aircraft
types and stand here for this fleet's.
"""

from __future__ import annotations

from dataclasses import dataclass

AIR_DATA, INERTIAL = 0, 1


@dataclass(frozen=True)
class Bnr:
    """Two's complement with the sign in bit 29.

    Attributes:
        name: the signal.
        full_scale: what the sign bit is worth, in the signal's unit.
        bits: significant bits without the sign; 20 of them take the SDI's bits as well.
        period_s: the longest time between two words on a healthy bus.
        angle: a heading or direction: reported as 0 to 360 degrees.
    """

    name: str
    full_scale: float
    bits: int
    period_s: float
    angle: bool = False


@dataclass(frozen=True)
class Bit:
    """One bit of a discrete word, numbered from 1 as ARINC 429 does."""

    name: str
    bit: int
    period_s: float


@dataclass(frozen=True)
class Bcd:
    """Binary coded decimal digits from bit 29 downwards; the widths are each digit's bits.

    `scale` is what the last digit is worth; the sign is in the SSM.
    """

    name: str
    widths: tuple[int, ...]
    scale: float
    period_s: float


@dataclass(frozen=True)
class Clock:
    """UTC: hours in bits 28-24, minutes in 23-18, seconds in 17-12; read as seconds of the day."""

    name: str
    period_s: float


@dataclass(frozen=True)
class Characters:
    """Two ISO 5 characters, bits 11-17 and 18-24: a piece of a longer text."""

    name: str
    period_s: float


Label = Bnr | Bit | Bcd | Clock | Characters

TABLE: dict[tuple[int, int], Label] = {
    (AIR_DATA, 0o203): Bnr("altitude", 131072, 17, 0.063),
    (AIR_DATA, 0o205): Bnr("mach", 4.096, 16, 0.125),
    (AIR_DATA, 0o210): Bnr("true_airspeed", 2048, 15, 0.125),
    (AIR_DATA, 0o213): Bnr("outside_temperature", 512, 11, 0.5),
    (AIR_DATA, 0o270): Bit("weight_on_wheels", 20, 0.5),
    (INERTIAL, 0o310): Bnr("latitude", 180, 20, 0.2),
    (INERTIAL, 0o311): Bnr("longitude", 180, 20, 0.2),
    (INERTIAL, 0o312): Bnr("ground_speed", 4096, 15, 0.05),
    (INERTIAL, 0o314): Bnr("heading", 180, 15, 0.05, angle=True),
    (INERTIAL, 0o315): Bnr("wind_speed", 256, 8, 0.1),
    (INERTIAL, 0o316): Bnr("wind_direction", 180, 8, 0.1, angle=True),
    (INERTIAL, 0o324): Bnr("pitch", 180, 14, 0.05),
    (INERTIAL, 0o325): Bnr("roll", 180, 14, 0.05),
    (INERTIAL, 0o150): Clock("utc", 1.2),
    (INERTIAL, 0o260): Bcd("date", (2, 4, 1, 4, 4, 4), 1, 1.2),
    (INERTIAL, 0o233): Characters("flight_1", 1.1),
    (INERTIAL, 0o234): Characters("flight_2", 1.1),
    (INERTIAL, 0o235): Characters("flight_3", 1.1),
    (INERTIAL, 0o236): Characters("flight_4", 1.1),
}
