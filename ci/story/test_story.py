"""The story as a test, and what must hold after it."""

from __future__ import annotations

import subprocess

import pytest

from ci.story.world import TOP, World

pytestmark = pytest.mark.hosts


def test_the_whole_story_holds_and_every_host_runs(world: World) -> None:
    states = {host["name"]: host["state"] for host in world.lab.status()["hosts"]}
    assert states == dict.fromkeys(["hangar", *world.aircraft], "running")


@pytest.mark.parametrize("flags", [["--check"], []], ids=["looking", "applying"])
def test_another_converge_changes_nothing_in_one_probe_trip(world: World, flags: list[str]) -> None:
    said = world.fab_json("converge", "--target", "all", *flags)
    outcomes = {each["host"]: each for each in said}
    assert set(outcomes) == {"hangar", *world.aircraft}
    for name, outcome in outcomes.items():
        assert (outcome["changes"], outcome["engine_trips"]) == ([], 1), name


def test_a_file_altered_by_hand_is_found_shown_and_put_back(world: World) -> None:
    host = world.aircraft[1]
    world.ssh(host, "echo 'worker_processes 7;' | sudo tee -a /etc/nginx/conf.d/turnaround.conf")
    said = world.fab("converge", "--target", host, "--check", "--diff", expect=2)
    assert "-worker_processes 7;" in said
    assert "/etc/nginx/conf.d/turnaround.conf" in said
    world.fab("converge", "--target", host)
    world.fab("converge", "--target", host, "--check")


def test_the_story_told_again_starts_from_where_it_is(world: World) -> None:
    # As a story leaves it that was stopped aloft.
    world.lab.link(world.aircraft[0], up=False)
    done = subprocess.run(
        ["./inv", "demo"],
        cwd=TOP,
        env=world.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "imported before" in done.stdout
