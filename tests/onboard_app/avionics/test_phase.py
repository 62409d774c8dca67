"""The phase of flight: hard to reach the ground, easy to leave it."""

from __future__ import annotations

import pytest

from onboard_app.avionics.phase import Facts, Memory, Phase, step


def after(memory, seconds, start=0.0, *, wheels=True, speed=0.0, altitude=575.0, climb=0.0):
    """The memory after so many seconds of the same, looked at twice a second."""
    for tick in range(int(seconds * 2) + 1):
        now = start + tick / 2
        height = None if altitude is None else altitude + climb * tick / 120
        memory = step(memory, Facts(now, wheels, speed, height))
    return memory


@pytest.fixture
def grounded():
    memory = after(Memory(), 11)
    assert memory.phase is Phase.GROUND
    return memory


@pytest.fixture
def cruising():
    memory = after(Memory(), 30, wheels=False, speed=440, altitude=35_000)
    assert memory.phase is Phase.CRUISE
    return memory


def test_switched_on_at_the_gate_it_waits_ten_seconds():
    assert after(Memory(), 9.5).phase is Phase.UNKNOWN
    assert after(Memory(), 10).phase is Phase.GROUND


def test_one_bad_moment_starts_the_ten_seconds_again():
    memory = after(Memory(), 9)
    memory = step(memory, Facts(9.5, None, 0.0, 575.0))
    assert after(memory, 9.5, start=10).phase is Phase.UNKNOWN
    assert after(memory, 10, start=10).phase is Phase.GROUND


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        (Facts(20, False, 0.0, 575.0), Phase.CLIMB),
        (Facts(20, True, 50.0, 575.0), Phase.CLIMB),
        (Facts(20, True, 49.0, 575.0), Phase.GROUND),
        (Facts(20, None, 0.0, 575.0), Phase.UNKNOWN),
        (Facts(20, True, None, 575.0), Phase.UNKNOWN),
        (Facts(20, True, 0.0, None), Phase.UNKNOWN),
    ],
    ids=["wheels off", "fast", "taxi", "wheels lost", "speed lost", "altitude lost"],
)
def test_one_sign_against_the_ground_ends_it_at_once(grounded, facts, phase):
    assert step(grounded, facts).phase is phase


def test_ground_speed_alone_never_means_ground(cruising):
    """Recordings hold long stretches of impossible ground speed aloft."""
    memory = after(cruising, 60, start=31, wheels=False, speed=0, altitude=35_000)
    assert memory.phase is Phase.CRUISE


def test_wheels_alone_never_mean_ground():
    assert after(Memory(), 60, speed=140).phase is Phase.UNKNOWN


def test_climb_cruise_descent():
    memory = after(Memory(), 60, wheels=False, speed=250, altitude=2000, climb=2000)
    assert memory.phase is Phase.CLIMB
    memory = after(memory, 100, start=61, wheels=False, speed=440, altitude=35_000)
    assert memory.phase is Phase.CRUISE
    memory = after(memory, 60, start=162, wheels=False, speed=440, altitude=35_000, climb=-1500)
    assert memory.phase is Phase.DESCENT


def test_a_level_piece_of_the_approach_is_still_the_descent():
    memory = after(Memory(), 60, wheels=False, speed=250, altitude=6000, climb=-1500)
    memory = after(memory, 200, start=61, wheels=False, speed=220, altitude=4500)
    assert memory.phase is Phase.DESCENT


def test_the_landing_roll_is_not_yet_ground():
    memory = after(Memory(), 60, wheels=False, speed=150, altitude=1500, climb=-800)
    memory = after(memory, 30, start=61, speed=120)
    assert memory.phase is Phase.DESCENT
    memory = after(memory, 9.5, start=92, speed=30)
    assert memory.phase is Phase.DESCENT
    assert after(memory, 10, start=92, speed=30).phase is Phase.GROUND


def test_when_the_bus_comes_back_aloft_the_phase_does_too(cruising):
    memory = step(cruising, Facts(31, None, None, None))
    assert memory.phase is Phase.UNKNOWN
    memory = after(memory, 30, start=32, wheels=False, speed=440, altitude=35_000)
    assert memory.phase is Phase.CRUISE
