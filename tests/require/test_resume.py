"""The result of a run is to be had by its id: after a lost link, and after a lost operator."""

from __future__ import annotations

import pytest

import require
from require.result import Event, Result
from tests.require.host import Clock, Cut, Host, note, statuses
from tests.require.test_changes import interrupted
from tests.require.test_runs import gated, open_gate


def two(host: Host) -> require.Catalog:
    """A file with a handler, and a command that fails with a secret on its lips."""
    with require.declare(role="test") as catalog:
        require.file.file(
            host.path("a"), content="a\n", owner=None, notify=[note(host, "restarts")]
        )
        require.command.command(
            "b",
            ["/bin/sh", "-c", "cat >&2; exit 1"],
            creates=host.path("none"),
            stdin=require.Secret("pa55word"),
        )
    return catalog


def told(result: Result) -> list[object]:
    """What a converge and a resume of its run have in common."""
    handlers = [(each.key, each.status) for each in result.handlers]
    outcomes = [(each.key, each.status, each.reason, each.role) for each in result.outcomes]
    return [result.run, result.link_lost, result.errors, handlers, outcomes]


def test_a_link_that_comes_back_brings_the_result_of_that_very_run(host: Host) -> None:
    clock = Clock()
    result = host.converge(two(host), transport=Cut(down=3), clock=clock, sleep=clock.sleep)
    assert not result.link_lost
    assert statuses(result) == {"a": "changed", "command:b": "failed"}
    assert result.trips == 6
    assert "pa55word" not in repr(result)
    assert host.read("restarts") == "ran\n"
    assert told(host.resume(two(host), result.run)) == told(result)


def test_a_run_that_still_goes_on_is_waited_for(host: Host) -> None:
    catalog = gated(host)
    clock = Clock()
    lost = host.converge(catalog, transport=Cut(down=99), clock=clock, sleep=clock.sleep)
    said: list[Event] = []

    def watch(event: Event) -> None:
        said.append(event)
        if len(said) == 1:
            open_gate(host)

    result = host.resume(catalog, progress=watch)
    assert (said[0].stage, said[0].key, said[0].total) == ("apply", "command:wait", 2)
    assert (result.run, result.errors, result.trips) == (lost.run, (), 1)
    assert statuses(result) == {"command:wait": "changed", "after": "changed"}


def test_a_link_that_breaks_while_it_waits_is_tried_again(host: Host) -> None:
    clock = Clock()
    run = host.converge(two(host)).run
    cut = Cut(down=2, at=1)
    result = host.resume(two(host), transport=cut, clock=clock, sleep=clock.sleep)
    assert (result.run, result.trips) == (run, 4)
    gone = Cut(down=99, at=1)
    with pytest.raises(require.LinkLost):
        host.resume(two(host), transport=gone, clock=clock, sleep=clock.sleep)


def test_a_run_that_was_cut_short_says_how_far_it_came(host: Host) -> None:
    catalog = interrupted(host)
    run = host.converge(catalog).run
    result = host.resume(catalog)
    assert result.run == run
    assert statuses(result) == {
        "conf": "changed",
        "command:power cut": "unknown",
        "after": "unknown",
    }
    assert f"the run {run} was cut short on the host, at command:power cut" in result.errors[0]


def test_what_its_converge_could_not_touch_is_told_as_by_that(host: Host) -> None:
    (host.root / "file 0").mkdir()
    with host.files(2) as catalog:
        pass
    result = host.converge(catalog)
    assert statuses(result) == {"file 0": "unknown", "file 1": "changed"}
    assert told(host.resume(catalog)) == told(result)


def test_what_was_undone_by_hand_since_is_found(host: Host) -> None:
    with host.files(2) as catalog:
        pass
    host.converge(catalog)
    (host.root / "file 1").write_text("theirs\n")
    result = host.resume(catalog)
    assert statuses(result) == {"file 0": "changed", "file 1": "failed"}
    assert "it was applied, and still: content" in result.errors[0]


def test_of_a_run_of_other_roles_its_steps_are_told(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    host.converge(catalog)
    with host.files(2, "two\n") as other:
        pass
    result = host.resume(other)
    assert (statuses(result), result.errors) == ({"file 0": "changed"}, ())
    assert "declare something else" in result.notes[0]


def test_a_host_without_a_run_has_nothing_to_collect(host: Host) -> None:
    with host.files(1) as catalog:
        pass
    result = host.resume(catalog)
    assert (result.run, result.errors, result.outcomes) == ("", (), ())
    assert not host.state.exists()
