"""The teller: what held, what did not, and a word of it that people can use."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ci.lab.errors import LabFault
from ci.story.teller import NotSo, Step, Teller, eventually


def told(*steps: Step) -> tuple[bool, str]:
    out = io.StringIO()
    held = Teller(Console(file=out, width=100)).tell(steps)
    return held, out.getvalue()


def failing(fault: Exception) -> Step:
    def tell() -> str:
        raise fault

    return Step("One", "it holds", tell)


def test_a_story_that_holds_shows_each_fact():
    held, said = told(Step("One", "a", lambda: "1 host"), Step("Two", "b", lambda: "2 hosts"))
    assert held
    assert "One\n  ✓ a – 1 host" in said
    assert "Two\n  ✓ b – 2 hosts" in said


def test_it_stops_at_the_first_step_that_does_not_hold():
    after: list[str] = []
    last = Step("Two", "after", lambda: after.append("told") or "")
    held, said = told(failing(NotSo("expected 3 hosts, found 2")), last)
    assert (held, after) == (False, [])
    assert "✗ it holds" in said
    assert "expected 3 hosts, found 2" in said


@pytest.mark.parametrize("fault", [NotSo("not so"), LabFault("no tunnel device", "modprobe tun")])
def test_what_says_what_to_do_comes_without_a_traceback(fault: Exception):
    _, said = told(failing(fault))
    assert str(fault) in said
    assert "Traceback" not in said


def test_what_nobody_foresaw_comes_with_one():
    _, said = told(failing(KeyError("x")))
    assert "Traceback" in said


def test_eventually_gives_up_with_what_it_saw_last():
    now = [0.0]

    def look() -> bool:
        raise NotSo("half of it")

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(NotSo, match=r"the film: not so within 3 s; last seen: .*half of it"):
        eventually("the film", look, within_s=3, clock=lambda: now[0], sleep=sleep)
    assert now[0] >= 3
