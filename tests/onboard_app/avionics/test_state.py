"""How long a reading counts."""

from __future__ import annotations

from onboard_app.avionics.state import State
from onboard_app.avionics.words import Reading, Status


def state_with(name, value, at=100.0, status=Status.NORMAL):
    state = State()
    state.take(Reading(name, value, status), at)
    return state


def test_a_reading_counts_for_two_seconds_and_no_longer():
    state = state_with("ground_speed", 12.0)
    assert state.number("ground_speed", 102.0) == 12.0
    assert state.number("ground_speed", 102.1) is None


def test_a_slow_label_gets_four_of_its_periods():
    state = state_with("flight_1", "AF")
    assert state.value("flight_1", 104.3) == "AF"
    assert state.value("flight_1", 104.5) is None


def test_a_failure_warning_takes_the_good_value_before_it_away():
    state = state_with("altitude", 575.0)
    state.take(Reading("altitude", None, Status.FAILURE), 100.1)
    assert state.number("altitude", 100.2) is None


def test_wheels_never_heard_of_are_unknown_and_not_in_the_air():
    assert State().on_ground(0.0) is None
    assert state_with("weight_on_wheels", True).on_ground(103.0) is None
    assert state_with("weight_on_wheels", False).on_ground(101.0) is False


def test_a_flight_number_needs_all_its_pieces():
    state = State()
    for n, part in enumerate(("AF", "R3", "4Z")):
        state.take(Reading(f"flight_{n + 1}", part, Status.NORMAL), 100.0)
    assert state.flight(101.0) is None
    state.take(Reading("flight_4", "G ", Status.NORMAL), 100.0)
    assert state.flight(101.0) == "AFR34ZG"


def test_discretes_go_stale_like_everything_else():
    state = State()
    state.take_discretes({"ALERT": True}, 100.0)
    assert state.discretes(102.0) == {"ALERT": True}
    assert state.discretes(102.1) is None
