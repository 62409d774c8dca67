"""Whatever is cut at whatever step, the old release or the new one is current, whole; never neither.

The fault here is the end of everything between two steps: of the process alone (the same boot goes
on), or of the host (another boot, in which `aboard recover` runs first). Writes that were begun and
not finished are a matter of `disk`, not of this table.
"""

from __future__ import annotations

import pytest

from fleet.aboard import lifecycle
from fleet.aboard.steps import Step
from tests.fleet.aboard.host import Built, Cut, Host, build

FORWARD = [step for step in Step if not step.name.startswith("RETURN")]
BACK = [step for step in Step if step.name.startswith("RETURN")]
SWITCHED = {Step.LINK, Step.RESTART, Step.HEALTH, Step.CONFIRM, Step.DRAIN, Step.CLEAN}
SERVED = SWITCHED - {Step.LINK}
CONFIRMED = {Step.DRAIN, Step.CLEAN}


def cut(host: Host, step: Step, built: Built) -> None:
    host.cut_at = step
    with pytest.raises(Cut):
        host.accept(built)
    host.cut_at = None


@pytest.mark.parametrize("step", FORWARD, ids=lambda step: step.label)
@pytest.mark.parametrize("power", [False, True], ids=["process", "power"])
def test_a_cut_leaves_old_or_new_and_the_next_run_finishes(
    host: Host, step: Step, power: bool
) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    cut(host, step, two)
    assert host.current() == (two.version if step in SWITCHED else one.version)
    assert host.served == (two.version if step in SERVED else one.version)
    assert host.is_whole(str(host.current()))
    if power:
        host.reboot()
        assert host.current() == (two.version if step in CONFIRMED else one.version)
        assert host.served == host.current()
        assert host.is_whole(str(host.current()))
    result = host.accept(two)
    assert result.result == ("already" if step in CONFIRMED else "confirmed")
    assert host.current() == host.running == host.served == two.version
    lifecycle.recover(host.world)
    assert list(host.servers) == [two.version]
    assert (host.stage(one), host.stage(two)) == ("confirmed", "confirmed")


@pytest.mark.parametrize("step", [*FORWARD[:12], *BACK], ids=lambda step: step.label)
@pytest.mark.parametrize("power", [False, True], ids=["process", "power"])
def test_a_cut_of_a_bad_release_ends_with_the_old_one(host: Host, step: Step, power: bool) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.spoilt.add(two.version)
    cut(host, step, two)
    assert host.current() in (one.version, two.version)
    assert host.served in (one.version, two.version)
    if power:
        host.reboot()
        assert host.current() == host.served == one.version
    assert host.accept(two).result == "returned"
    assert host.current() == host.running == host.served == one.version
    assert list(host.servers) == [one.version]
    assert (host.stage(one), host.stage(two)) == ("confirmed", "rolled_back")


@pytest.mark.parametrize("step", FORWARD, ids=lambda step: step.label)
def test_a_cut_of_the_first_release_leaves_none_or_a_whole_one(host: Host, step: Step) -> None:
    one = build(1)
    cut(host, step, one)
    assert host.current() in (None, one.version)
    host.reboot()
    assert host.current() == host.served == (one.version if step in CONFIRMED else None)
    assert host.accept(one).exit_code == 0
    assert host.is_whole(one.version)


@pytest.mark.parametrize("step", FORWARD[7:], ids=lambda step: step.label)
@pytest.mark.parametrize("power", [False, True], ids=["process", "power"])
def test_a_rollback_that_was_cut_can_be_asked_for_again(
    host: Host, step: Step, power: bool
) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.accept(two)
    host.cut_at = step
    with pytest.raises(Cut):
        lifecycle.rollback(host.world, "onboard")
    host.cut_at = None
    if power:
        host.reboot()
    if step not in CONFIRMED:
        assert lifecycle.rollback(host.world, "onboard").result == "confirmed"
    assert host.current() == one.version
    assert (host.stage(one), host.stage(two)) == ("confirmed", "rolled_back")


def test_recover_returns_from_a_trial_of_another_boot_and_does_not_wait_for_units(
    host: Host,
) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    cut(host, Step.HEALTH, two)
    results = host.reboot()
    assert [(r.result, r.version, r.former) for r in results] == [
        ("returned", two.version, one.version)
    ]
    assert host.reason(two) == "the host went down during its trial"
    assert ["systemctl", "restart", "--no-block", *two.manifest.units] in host.commands


def test_recover_returns_from_a_trial_of_this_boot_only_after_its_deadline(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    cut(host, Step.HEALTH, two)
    assert lifecycle.recover(host.world)[0].result == "left"
    assert host.current() == two.version
    host.clock_s += 121
    assert lifecycle.recover(host.world)[0].result == "returned"
    assert host.current() == one.version
    assert host.reason(two) == "its trial ran out before it was confirmed"


def test_a_good_release_whose_trial_was_cut_twice_is_a_good_one_still(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.accept(two)
    cut(host, Step.HEALTH, one)
    cut(host, Step.HEALTH, one)
    host.reboot()
    assert host.current() == two.version
    assert (host.stage(one), host.stage(two)) == ("confirmed", "confirmed")


@pytest.mark.parametrize("left", [None, b"{}"], ids=["gone", "unreadable"])
def test_a_trial_whose_manifest_is_lost_is_returned_from_all_the_same(
    host: Host, left: bytes | None
) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    cut(host, Step.HEALTH, two)
    manifest = host.world.release("onboard", two.version) / "manifest.json"
    manifest.unlink()
    if left is not None:
        manifest.write_bytes(left)
    assert [result.result for result in host.reboot()] == ["returned"]
    assert host.current() == one.version
    assert ["systemctl", "restart", "--no-block", *two.manifest.units] in host.commands
    assert host.accept(two).result == "confirmed"
    assert host.is_whole(two.version)


def test_a_first_release_whose_manifest_is_lost_on_trial_has_its_units_stopped(host: Host) -> None:
    one = build(1)
    cut(host, Step.HEALTH, one)
    (host.world.release("onboard", one.version) / "manifest.json").unlink()
    host.reboot()
    assert host.current() is None
    assert ["systemctl", "stop", "--no-block", *one.manifest.units] in host.commands


def test_recover_has_nothing_to_do_after_a_trial_that_ended(host: Host) -> None:
    host.accept(build(1))
    assert host.reboot() == []


@pytest.mark.parametrize("folder", [False, True], ids=["link", "folder"])
def test_where_nothing_is_current_the_last_good_release_is_again(host: Host, folder: bool) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.accept(two)
    host.world.link("onboard").unlink()
    if folder:
        host.world.link("onboard").parent.rmdir()
    results = host.reboot()
    assert [(r.result, r.version) for r in results] == [("current again", two.version)]
    assert host.current() == two.version


def test_a_bad_release_is_returned_from_where_nothing_was_current(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.world.link("onboard").unlink()
    host.spoilt.add(two.version)
    result = host.accept(two)
    assert (result.result, result.former) == ("returned", one.version)
    assert host.current() == one.version


def test_another_release_asked_for_after_a_cut_ends_the_trial_first(host: Host) -> None:
    one, two, three = build(1), build(2), build(3)
    host.accept(one)
    cut(host, Step.HEALTH, two)
    result = host.accept(three)
    assert (result.result, result.former) == ("confirmed", one.version)
    assert host.reason(two) == "its trial was cut off, and another release was asked for"


def test_what_a_cut_left_behind_goes_with_the_next_release(host: Host) -> None:
    cut(host, Step.FLUSH, build(1))
    host.accept(build(2))
    folder = host.world.home / "releases/onboard"
    assert [path.name for path in folder.iterdir()] == [build(2).version]


def test_what_is_current_serves_after_a_boot_though_the_memory_is_damaged(host: Host) -> None:
    one = build(1)
    host.accept(one)
    (host.world.state_folder / "state.json").write_text("{")
    (failed,) = host.reboot()
    assert (failed.result, host.served) == ("failed", one.version)
    assert "move it away and deploy again" in str(failed.reason)
