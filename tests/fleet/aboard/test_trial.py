"""The trial: who is not well is not met, or is returned from, and the reason is told."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from fleet.aboard import lifecycle, state
from fleet.aboard.steps import Step
from tests.fleet.aboard.host import Host, build

RETURN = [step for step in Step if step.name.startswith("RETURN")]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("ill", '/health answered 503 {"healthy": false'),
        ("dead", "answered 502 with 6 bytes that are no health report"),
        ("restless", "died and was started again"),
        ("flapping", "well and ill by turns|answered 503"),
    ],
)
def test_a_release_that_is_not_well_is_never_met_by_anybody(
    host: Host, fault: str, reason: str
) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    getattr(host, fault).add(two.version)
    log = "Traceback\n  File x\nValueError: no such column\n"
    host.log[f"turnaround-api@{two.version}.service"] = log
    host.commands.clear()
    host.steps.clear()
    result = host.accept(two)
    assert (result.result, result.former, result.exit_code) == ("refused", one.version, 4)
    assert Step.LINK not in host.steps
    assert not any(command[:2] == ["systemctl", "restart"] for command in host.commands)
    assert host.current() == host.running == host.served == one.version
    assert list(host.servers) == [one.version]
    assert host.stage(two) == "rolled_back"
    assert host.stage(one) == "confirmed"
    assert any(one in host.reason(two) for one in reason.split("|"))
    assert "no such column" in host.reason(two)
    assert host.steps[-4:] == RETURN


def test_one_that_does_not_start_says_why_in_its_own_words(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.unstarted.add(two.version)
    host.log[f"turnaround-api@{two.version}.service"] = "No module named gunicorn\n"
    assert host.accept(two).result == "refused"
    assert "ended with 1: Job for it failed.; turnaround-api@" in host.reason(two)
    assert host.reason(two).endswith("said at last: No module named gunicorn")
    assert host.served == one.version


def test_a_release_that_is_spoilt_once_it_serves_is_returned_from(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.spoilt.add(two.version)
    result = host.accept(two)
    assert (result.result, result.former, result.exit_code) == ("returned", one.version, 4)
    assert host.current() == host.running == host.served == one.version
    assert list(host.servers) == [one.version]
    assert (host.stage(one), host.stage(two)) == ("confirmed", "rolled_back")
    assert "/health answered 503" in host.reason(two)
    assert host.steps[-4:] == RETURN


@pytest.mark.parametrize(
    ("short", "reason"),
    [
        ({"free_bytes": 20 << 20}, "20 MiB are free on the disk, expected 32 or more"),
        ({"memory_free": 0.03}, "3.0% of the memory is free, expected 4% or more"),
    ],
)
def test_a_release_that_leaves_the_host_no_room_is_not_well(
    host: Host, short: dict[str, float], reason: str
) -> None:
    one, two = build(1), build(2)
    host.accept(one)

    def at(step: Step) -> None:
        if step is Step.BESIDE:
            vars(host).update(short)

    assert lifecycle.accept(replace(host.world, at=at), io.BytesIO(two.frames())).exit_code == 4
    assert reason in host.reason(two)
    assert host.served == one.version
    record = state.load(host.world).get("onboard", two.version)
    assert record is not None
    assert record.bad is None, "it is the host that was not well"


def test_each_unit_says_its_own_reason_however_much_the_others_say(host: Host) -> None:
    two = build(2)
    host.spoilt.add(two.version)
    frames = '  File "arbiter.py", line 1, in run\n' * 40
    api = f"turnaround-api@{two.version}.service"
    traceback = f"Traceback (most recent call last):\n{frames}"
    host.log[api] = (
        f"{traceback}RuntimeError: no such table\nbye\n" * 2
        + f"{traceback}HaltServer: a worker failed\n" * 2
        + "".join(f"worker {number} exits\n" for number in range(9))
    )
    host.log["turnaround-agent.service"] = "the hangar did not answer\n" * 200
    host.accept(two)
    told = "RuntimeError: no such table / HaltServer: a worker failed / worker 4 exits / worker 5"
    assert f"{api} said at last: {told}" in host.reason(two)
    assert "turnaround-agent.service said at last: the hangar did not answer" in host.reason(two)
    assert "arbiter.py" not in host.reason(two)


def test_a_release_has_thirty_seconds_to_be_well(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.ill.add(two.version)
    before = host.clock_s
    host.accept(two)
    assert 30 <= host.clock_s - before < 32


def test_a_release_that_speaks_for_another_revision_is_refused(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    world = replace(host.world, ask=lambda path, target, within_s: host.answer(one.version))
    result = lifecycle.accept(world, io.BytesIO(two.frames()))
    assert result.result == "refused"
    assert f"revision {one.manifest.revision}, expected {two.manifest.revision}" in host.reason(two)


def test_an_answer_that_is_no_health_report_is_a_reason_like_any(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    for said in (b"[" * 60_000, b"7", b"<p>"):
        world = replace(host.world, ask=lambda path, target, within_s, said=said: (200, said))
        result = lifecycle.accept(world, io.BytesIO(two.frames()))
        assert (result.result, host.stage(two)) == ("refused", "rolled_back")
        assert f"{len(said)} bytes that are no health report" in str(result.reason)


def test_a_first_release_that_is_not_well_leaves_none_and_its_units_stopped(host: Host) -> None:
    one = build(1)
    host.spoilt.add(one.version)
    assert host.accept(one).result == "returned"
    assert host.current() is host.served is None
    assert ["systemctl", "stop", *one.manifest.units] in host.commands
    assert not host.servers


def test_a_bad_release_may_be_ordered_again(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.ill.add(two.version)
    host.accept(two)
    host.ill.clear()
    assert host.accept(two).result == "confirmed"
    assert host.stage(two) == "confirmed"


def test_a_full_disk_in_the_trial_returns(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)

    def full(step: Step) -> None:
        if step is Step.CONFIRM:
            raise OSError(28, "No space left on device")

    world = replace(host.world, at=full)
    result = lifecycle.accept(world, io.BytesIO(two.frames()))
    assert result.result == "returned"
    assert "No space left" in str(result.reason)
    assert host.current() == one.version
