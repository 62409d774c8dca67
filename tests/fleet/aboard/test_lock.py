"""Who waits for whom on a host: orders wait for a brief hold, and the timer's look for nobody."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from dataclasses import replace

import pytest

from fleet.aboard import lifecycle, lock, program
from fleet.aboard.errors import AboardError
from fleet.aboard.steps import Step
from tests.fleet.aboard.host import Cut, Host, build


def test_a_look_for_trials_that_ran_out_leaves_a_running_order_alone(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.cut_at = Step.HEALTH
    with pytest.raises(Cut):
        host.accept(two)
    host.clock_s += 121
    before = host.clock_s
    with lock.held(host.world, "deploy"):
        assert program.main(["recover"], host.world, out=io.StringIO()) == 0
    assert host.current() == two.version
    assert host.clock_s == before, "it waits for nobody: it comes again in a minute"


def test_an_order_waits_for_a_look_that_is_over_soon(host: Host) -> None:
    with ExitStack() as look:
        look.enter_context(lock.held(host.world, "recover"))
        world = replace(host.world, sleep=lambda seconds: look.close())
        result = lifecycle.accept(world, io.BytesIO(build(1).frames()))
    assert result.result == "confirmed"


def test_an_order_gives_up_after_ten_seconds_and_says_who_is_at_work(host: Host) -> None:
    before = host.clock_s
    with (
        lock.held(host.world, "deploy"),
        pytest.raises(AboardError, match=r"\(deploy, pid \d+, 2026-.*\) is at work .* run again"),
    ):
        host.accept(build(1))
    assert 10 <= host.clock_s - before < 11
    assert host.accept(build(1)).result == "confirmed"


def test_that_another_is_at_work_is_no_failure_of_the_release(host: Host) -> None:
    out = io.StringIO()
    with lock.held(host.world, "deploy"):
        code = program.main(["accept"], host.world, io.BytesIO(build(1).frames()), out)
    assert (code, json.loads(out.getvalue().splitlines()[-1])["result"]) == (4, "busy")


def test_what_the_lock_says_needs_no_more_room_than_before(host: Host) -> None:
    said = []
    for doing in ("rollback " + "maps-" * 5, "deploy", "deploy " * 100):
        with lock.held(host.world, doing):
            said.append((host.world.state_folder / "lock").read_bytes())
    assert len({len(each) for each in said}) == 1
    assert b"maps" not in said[1]
