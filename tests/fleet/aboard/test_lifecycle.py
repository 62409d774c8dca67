"""A release's way on a host, when all goes well and when the release is no good."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fleet.aboard import disk, lifecycle
from fleet.aboard.errors import AboardError, ManifestError, StreamCut
from fleet.aboard.steps import Step
from fleet.aboard.world import Completed
from roles.services import quoted
from tests.fleet.aboard.host import Host, build

RETURN = [step for step in Step if step.name.startswith("RETURN")]


def test_the_first_release_becomes_current_and_is_confirmed(host: Host) -> None:
    one = build(1)
    result = host.accept(one)
    assert (result.result, result.former, result.exit_code) == ("confirmed", None, 0)
    assert host.current() == one.version
    assert host.stage(one) == "confirmed"
    assert host.is_whole(one.version)
    assert host.asked == 6


def test_the_steps_come_in_their_order(host: Host) -> None:
    host.accept(build(1))
    assert host.steps == [step for step in Step if not step.name.startswith("RETURN")]


def test_setup_runs_before_the_switch_in_the_new_release_with_the_units_settings(
    host: Host,
) -> None:
    one = build(1)
    host.accept(one)
    argv = [f"{host.world.release('onboard', one.version)}/bin/python", "-m", "sync.setup"]
    assert host.commands.index(argv) < host.commands.index(
        ["systemctl", "restart", *one.manifest.units]
    )
    assert lifecycle.environment(host.world)["TURNAROUND_NODE"] == "EC-TAA"


def test_the_link_is_relative_so_that_the_tree_can_be_looked_at_from_outside(host: Host) -> None:
    one = build(1)
    host.accept(one)
    assert host.world.link("onboard").readlink() == Path(f"../releases/onboard/{one.version}")


def test_only_what_the_host_lacks_is_asked_for(host: Host) -> None:
    host.accept(build(1))
    two = build(2)
    lacking = host.offer(two)["missing"]
    app = two.manifest.files[0]
    assert (app.path, lacking) == ("wheels/app.whl", [app.sha256])


def test_a_release_that_is_current_is_said_to_be_so_and_nothing_is_done(host: Host) -> None:
    one = build(1)
    host.accept(one)
    host.steps.clear()
    host.commands.clear()
    result = host.accept(one)
    assert (result.result, result.exit_code) == ("already", 0)
    assert (host.steps, host.commands) == ([], [])


def test_the_current_version_with_other_contents_is_refused(host: Host) -> None:
    host.accept(build(1))
    other = build(1, files={"wheels/app.whl": b"something else"})
    with pytest.raises(ManifestError, match="current here with other contents"):
        host.accept(other)


def test_pages_have_no_units_and_nobody_to_ask(host: Host) -> None:
    pages = build(1, "html5", {"templates/index.html": b"<p>", "static/a/b.css": b"p{}"})
    assert host.accept(pages).result == "confirmed"
    release = host.world.release("html5", pages.version)
    assert (release / "static/a/b.css").read_bytes() == b"p{}"
    assert host.commands == []
    assert not (release / "bin").exists()


def test_a_setup_that_fails_leaves_the_old_release_as_it_was(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.setup = Completed(1, "column exists already")
    host.commands.clear()
    result = host.accept(two)
    assert (result.result, result.exit_code) == ("refused", 4)
    assert "bin/python -m sync.setup ended with 1: column exists already" in str(result.reason)
    assert host.current() == one.version
    assert host.stage(two) == "rolled_back"
    assert not any(command[0] == "systemctl" for command in host.commands)


def test_too_little_room_is_said_before_anything_travels(host: Host) -> None:
    host.free_bytes = 1 << 20
    with pytest.raises(AboardError, match=r"needs 64 MiB .* free are 1 MiB; nothing was changed"):
        host.offer(build(1))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("python", "3.12", "is for Python 3.12; here .* is 3.13"),
        ("platform", "manylinux_2_28_aarch64", "this host is x86_64"),
    ],
)
def test_an_artifact_for_another_host_is_refused(
    host: Host, field: str, value: str, expected: str
) -> None:
    one = build(1)
    other = replace(one, manifest=replace(one.manifest, **{field: value}))
    with pytest.raises(ManifestError, match=expected):
        host.offer(other)


def test_a_host_without_settings_says_what_to_do(host: Host) -> None:
    host.world.env_file.unlink()
    with pytest.raises(AboardError, match="converge the host first"):
        host.accept(build(1))
    assert host.current() is None


@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n")))
@example(value=r"""a "word", \$HOME, `date`, 'single', back\slash, end\\""")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_setting_means_the_same_here_as_where_it_was_declared(host: Host, value: str) -> None:
    host.world.env_file.write_bytes(f'# ours\nTURNAROUND_X="{quoted(value)}"\n'.encode())
    assert lifecycle.environment(host.world)["TURNAROUND_X"] == value


def test_rollback_goes_to_the_good_release_before_and_never_comes_back(host: Host) -> None:
    one, two, three = build(1), build(2), build(3)
    for built in (one, two, three):
        host.accept(built)
    result = lifecycle.rollback(host.world, "onboard")
    assert (result.result, result.version, result.former) == (
        "confirmed",
        two.version,
        three.version,
    )
    assert host.reason(three) == f"ops went back to {two.version}"
    assert lifecycle.rollback(host.world, "onboard").version == one.version
    with pytest.raises(AboardError, match="no good release of onboard to go back to"):
        lifecycle.rollback(host.world, "onboard")


def test_rollback_runs_no_setup_because_migrations_only_expand(host: Host) -> None:
    host.accept(build(1))
    host.accept(build(2))
    host.setup = Completed(1, "must not run")
    assert lifecycle.rollback(host.world, "onboard").result == "confirmed"


def test_a_rollback_to_a_release_that_is_ill_by_now_returns(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.accept(two)
    host.ill.add(one.version)
    assert lifecycle.rollback(host.world, "onboard").result == "refused"
    assert host.current() == two.version


def test_an_older_release_that_is_aboard_is_switched_to_without_setup(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.accept(two)
    host.setup = Completed(1, "must not run")
    assert host.accept(one).result == "confirmed"
    assert lifecycle.rollback(host.world, "onboard").version == two.version


def test_three_good_releases_are_kept_and_what_no_release_names_goes(host: Host) -> None:
    built = [build(number) for number in range(1, 6)]
    host.ill.add(built[3].version)
    for one in built:
        host.accept(one)
    kept = {path.name for path in (host.world.home / "releases/onboard").iterdir()}
    assert kept == {built[number].version for number in (1, 2, 4)}
    named = {file.sha256 for n in (1, 2, 4) for file in built[n].manifest.files}
    blobs = {path.name for path in (host.world.home / "blobs").glob("*/*")}
    assert blobs == named
    assert host.stage(built[3]) == "rolled_back", "why it was bad is remembered"


def test_what_ops_went_back_from_is_there_for_the_pages_that_are_open_still(host: Host) -> None:
    built = [build(number, "html5", {"static/portal.css": b"%d" % number}) for number in (1, 2, 3)]
    for one in built:
        host.accept(one)
    releases = [host.world.release("html5", one.version) for one in built]
    lifecycle.rollback(host.world, "html5")
    assert (releases[2] / "static/portal.css").read_bytes() == b"3"
    lifecycle.rollback(host.world, "html5")
    assert [each.exists() for each in releases] == [True, True, False]


def test_a_manifest_that_cannot_be_read_keeps_every_file(host: Host) -> None:
    host.accept(build(1, "html5", {"static/old.css": b"old"}))
    pages = next((host.world.home / "releases/html5").iterdir())
    (pages / "manifest.json").chmod(0o644)
    (pages / "manifest.json").write_text("{")
    host.accept(build(1))
    assert (host.world.home / "blobs").exists()
    assert len(list((host.world.home / "blobs").glob("*/*"))) == 4


def test_list_says_what_is_here_and_why(host: Host) -> None:
    one, two = build(1), build(2)
    host.accept(one)
    host.ill.add(two.version)
    host.accept(two)
    onboard = lifecycle.listing(host.world)["kinds"]["onboard"]  # type: ignore[index]
    assert onboard["current"] == one.version
    assert [(r["version"], r["stage"]) for r in onboard["releases"]] == [
        (two.version, "rolled_back"),
        (one.version, "confirmed"),
    ]
    assert all(release["bytes"] > 500 for release in onboard["releases"])


def test_list_answers_while_an_order_is_at_work(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.accept(build(1))
    before = lifecycle.listing(host.world)
    coming, look = host.world.home / "blobs/.coming.tmp", os.lstat
    coming.write_bytes(b"a piece of the next release")

    def late(path: str) -> os.stat_result:
        if path == str(coming):
            coming.unlink()  # between the look into its folder and the look at it
        return look(path)

    monkeypatch.setattr(os, "lstat", late)
    assert lifecycle.listing(host.world) == before


def test_a_lost_state_file_trusts_what_is_current(host: Host) -> None:
    one = build(1)
    host.accept(one)
    (host.world.state_folder / "state.json").unlink()
    assert host.accept(one).result == "already"
    assert host.stage(one) == "confirmed"


def test_a_state_file_that_is_damaged_is_said_with_the_remedy(host: Host) -> None:
    host.accept(build(1))
    (host.world.state_folder / "state.json").write_text('{"format": 1, "kinds": {"onboard": []}}')
    with pytest.raises(AboardError, match=r"state\.json: not what aboard wrote .* move it away"):
        host.accept(build(2))


def test_a_cut_stream_changes_nothing_and_what_arrived_is_not_sent_again(host: Host) -> None:
    one, two = build(1), build(2, files={"a.html": b"a" * 999, "b.html": b"b" * 999})
    host.accept(one)
    whole = two.frames()
    with pytest.raises(StreamCut, match="run the same command again"):
        host.accept(two, whole[:-70])
    assert host.current() == one.version
    assert host.stage(two) is None
    lacking = host.offer(two)["missing"]
    assert lacking == [two.manifest.files[1].sha256]


def test_a_tampered_file_is_named_and_everything_is_refused(host: Host) -> None:
    one, two = build(1), build(2, files={"good.bin": bytes(range(256)), "bad.bin": b"as built"})
    host.accept(one)
    frames = two.frames()
    assert frames.count(b"as built") == 1
    with pytest.raises(ManifestError, match=r"bad\.bin: expected sha256 .* nothing of onboard"):
        host.accept(two, frames.replace(b"as built", b"as bui1t"))
    assert host.current() == one.version
    assert not host.world.release("onboard", two.version).exists()
    assert not list((host.world.home / "blobs").glob("*/.*")), "no half file stays"


def test_a_manifest_that_is_not_what_its_frame_promises_is_refused(host: Host) -> None:
    one = build(1)
    promised = hashlib.sha256(one.manifest.dump()).digest()
    frames = one.frames()
    assert frames.count(promised) == 1
    with pytest.raises(
        ManifestError, match=r"manifest: expected sha256 0000.*, found .*send again"
    ):
        host.accept(one, frames.replace(promised, bytes(32)))
    assert host.current() is None


def test_a_file_that_the_manifest_does_not_name_is_refused(host: Host) -> None:
    one, other = build(1), build(2)
    smuggled = replace(one, contents={**other.contents, **one.contents})
    with pytest.raises(ManifestError, match="which the manifest does not name"):
        host.accept(one, smuggled.frames())


def test_files_that_neither_came_nor_are_here_stop_it(host: Host) -> None:
    with pytest.raises(AboardError, match=r"3 files did not come .* first is wheels/app\.whl"):
        host.accept(build(1), build(1).frames([]))


def test_a_file_that_the_disk_damaged_is_removed_so_that_the_next_run_sends_it(host: Host) -> None:
    host.accept(build(1))
    two = build(2)
    library = two.manifest.files[1]
    blob = host.world.home / "blobs" / library.sha256[:2] / library.sha256
    disk.write(blob, [blob.read_bytes()[:-1] + b"?"], 0o444)
    with pytest.raises(AboardError, match=r"wheels/library\.whl\) is damaged on this disk"):
        host.accept(two)
    assert host.accept(two).result == "confirmed"


@pytest.mark.parametrize("remedy", ["another revision", "rollback"])
def test_what_is_current_and_cannot_be_read_is_said_with_a_remedy_that_helps(
    host: Host, remedy: str
) -> None:
    one, two, three = build(1), build(2), build(3)
    host.accept(one)
    host.accept(two)
    shutil.rmtree(host.world.release("onboard", two.version))
    assert "deploy another revision, or go back with fab rollback" in str(host.reboot()[0].reason)
    for order in (host.offer, host.accept):
        with pytest.raises(AboardError, match=r"cannot be read: .*deploy another revision, or go"):
            order(two)
    if remedy == "rollback":
        assert lifecycle.rollback(host.world, "onboard").version == host.served == one.version
    else:
        assert host.accept(three).result == "confirmed"


@pytest.mark.parametrize("fails", ["setup", "beside", "serving"])
def test_bad_releases_do_not_pile_up(host: Host, fails: str) -> None:
    one = build(1)
    host.accept(one)
    if fails == "setup":
        host.setup = Completed(1, "no such column")
    for number in range(2, 6):
        bad = build(number)
        {"beside": host.ill, "serving": host.spoilt}.get(fails, set()).add(bad.version)
        assert host.accept(bad).exit_code == 4
    there = {path.name for path in (host.world.home / "releases/onboard").iterdir()}
    assert there == {one.version, bad.version}
    named = {*one.manifest.sizes, *bad.manifest.sizes}
    assert {path.name for path in (host.world.home / "blobs").glob("??/*")} == named
    assert host.current() == host.served == one.version
    assert host.stage(build(2)) == "rolled_back"
