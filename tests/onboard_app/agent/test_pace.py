"""How often the agent beats, and how often it synchronises."""

from __future__ import annotations

import pytest

from onboard_app.agent.pace import Hold, wait_s


def test_while_the_hangar_answers_it_is_its_interval_give_or_take_a_tenth():
    assert [wait_s(5, 0, chance) for chance in (0.0, 0.5, 1.0)] == pytest.approx([4.5, 5.0, 5.5])


def test_each_failure_doubles_the_wait_up_to_ten_seconds():
    assert [wait_s(1, failures, 1.0) for failures in range(1, 6)] == [2, 4, 8, 10, 10]


def test_the_wait_is_never_shorter_than_half_of_that_so_nobody_hammers():
    assert wait_s(5, 3, 0.0) == 5
    assert wait_s(1, 1, 0.0) == 1


def test_years_without_an_answer_do_not_overflow():
    assert wait_s(5, 10**6, 1.0) == 10


def test_a_synchronisation_that_does_not_help_comes_less_and_less_often():
    hold, now, starts = Hold(), 0.0, []
    while now < 2000:
        hold = hold.heard(["up"])
        if hold.over(now):
            starts.append(now)
            hold = hold.started(now, 5)
        now += 5
    assert starts[:6] == [0, 5, 15, 35, 75, 155]
    assert starts[-1] - starts[-2] == 300


@pytest.fixture
def held():
    """For usage and a film, until 35 s."""
    hold = Hold().heard(["up", "content"]).started(0, 5).started(5, 5).started(15, 5)
    assert not hold.heard(["up", "content"]).over(16)
    return hold


def test_what_was_due_before_waits_even_when_the_rest_is_done(held):
    assert not held.heard(["up"]).over(16)
    assert held.heard(["up"]).over(35)


@pytest.mark.parametrize(
    "heard",
    [[["up", "content", "cat"]], [["cat"]], [["up"], ["up", "content"]], [[], ["up"]]],
    ids=["beside it", "instead of it", "done and due anew", "nothing was due"],
)
def test_what_becomes_due_starts_at_once_and_its_pauses_begin_anew(held, heard):
    for due in heard:
        held = held.heard(due)
    assert held.over(16)
    assert held.started(16, 5).until == 21
