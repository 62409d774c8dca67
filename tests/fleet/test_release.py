"""Shipping to a host: what travels, what comes back, and what is said when it goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet import release
from fleet.artifact import Artifact, BadArtifact
from fleet.errors import LinkLost, RemoteFailed
from fleet.release import Outcome
from tests.fleet.aboard.host import Built, build, new_host
from tests.fleet.aboard.link import Completed, Link, save


@pytest.fixture
def link() -> Iterable[Link]:
    host = new_host()
    yield Link(host)
    host.close()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Built], Artifact]:
    return lambda built: save(built, tmp_path)


Saved = Callable[[Built], Artifact]


def test_a_deploy_is_two_trips_and_says_what_moved(link: Link, saved: Saved) -> None:
    said: list[str] = []
    one = saved(build(1))
    outcome = release.deploy(link, one, said.append)
    assert (outcome.result, outcome.ok, outcome.files) == ("confirmed", True, 3)
    assert link.orders == ["offer", "accept"]
    assert outcome.bytes == link.traffic_bytes > 0
    assert [name for name, _ in outcome.steps][:3] == ["receive", "unpack", "compile"]
    assert all(seconds >= 0 for _, seconds in outcome.steps)
    assert said[:2] == ["asking what is missing (onboard)", "sending 3 files (onboard)"]
    assert "health (onboard)" in said
    assert link.host.current() == one.manifest.version


def test_only_what_the_host_lacks_travels(link: Link, saved: Saved) -> None:
    big = bytes(range(256)) * 8192
    library = {"wheels/library.whl": build(1).contents[build(1).manifest.files[1].sha256]}
    first = {**library, "static/film.webp": big, "static/app.css": b"p{}"}
    release.deploy(link, saved(build(1, files=first)))
    outcome = release.deploy(link, saved(build(2, files={**first, "static/app.css": b"p {}"})))
    assert (outcome.result, outcome.files) == ("confirmed", 1)
    assert link.sent[-1] < 2000
    assert link.host.current() == outcome.version


def test_large_files_travel_in_pieces_and_arrive(link: Link, saved: Saved) -> None:
    big = bytes(range(256)) * 8192
    one = saved(build(1, "html5", {"templates/i.html": b"<p>", "static/film.webp": big}))
    assert release.deploy(link, one).ok
    folder = link.host.world.release("html5", one.manifest.version)
    assert (folder / "static/film.webp").read_bytes() == big


def test_an_artifact_that_nobody_signed_is_not_even_offered(link: Link, saved: Saved) -> None:
    with pytest.raises(BadArtifact, match="expected an envelope, found none"):
        release.deploy(link, replace(saved(build(1)), envelope=None))
    assert link.orders == []


def test_the_manifest_travels_once_and_compressed(link: Link, saved: Saved) -> None:
    pages = {f"static/page-{number:03d}.html": b"%d" % number for number in range(200)}
    release.deploy(link, saved(build(1, "html5", pages)))
    link.sent.clear()
    one = saved(build(2, "html5", {**pages, "static/page-007.html": b"another"}))
    assert release.deploy(link, one).files == 1
    offered, accepted = link.sent
    assert offered < len(one.manifest.dump()) / 2
    assert accepted < 1500


def test_what_is_current_costs_one_trip(link: Link, saved: Saved) -> None:
    one = saved(build(1))
    release.deploy(link, one)
    link.orders.clear()
    outcome = release.deploy(link, one)
    assert (outcome.result, outcome.ok, outcome.files) == ("already", True, 0)
    assert link.orders == ["offer"]


def test_a_release_that_is_not_well_is_reported_with_its_reason(link: Link, saved: Saved) -> None:
    release.deploy(link, saved(build(1)))
    link.host.spoilt.add(build(2).version)
    outcome = release.deploy(link, saved(build(2)))
    assert (outcome.result, outcome.ok) == ("returned", False)
    assert outcome.former == build(1).version
    assert "/health answered 503" in str(outcome.reason)
    assert [name for name, _ in outcome.steps][-1] == "return-record"


def test_a_link_that_breaks_goes_on_where_it_was(link: Link, saved: Saved) -> None:
    pages = {"a.webp": bytes(range(256)) * 400, "b.webp": bytes(range(255)) * 400}
    one = saved(build(1, "html5", pages))
    # The manifest's and the first file's bytes, and some of the second's.
    link.cut_after = 150_000
    with pytest.raises(LinkLost):
        release.deploy(link, one)
    link.cut_after = None
    outcome = release.deploy(link, one)
    assert (outcome.result, outcome.files) == ("confirmed", 1)


def test_a_file_that_was_changed_here_is_refused_by_the_host(link: Link, saved: Saved) -> None:
    one = saved(build(1))
    wheel = one.manifest.files[0]
    content = one.path(wheel.sha256).read_bytes()
    one.path(wheel.sha256).write_bytes(content[:-1] + b"\x99")
    outcome = release.deploy(link, one)
    assert (outcome.result, outcome.ok) == ("refused", False)
    assert "wheels/app.whl: expected sha256" in str(outcome.reason)
    assert link.host.current() is None


def test_a_host_for_another_python_refuses_before_anything_travels(
    link: Link, saved: Saved
) -> None:
    one = saved(build(1))
    link.host.world = replace(link.host.world, python_version="3.11")
    outcome = release.deploy(link, one)
    assert (outcome.result, link.orders) == ("refused", ["offer"])
    assert "is for Python 3.13" in str(outcome.reason)


@pytest.mark.parametrize("stdout", [b"", b"sudo: a password is required\n", b"[]\n"])
def test_a_host_without_aboard_says_what_to_do(link: Link, saved: Saved, stdout: bytes) -> None:
    link.answer = Completed(1, stdout, b"sudo: /opt/turnaround/bin/aboard: command not found\n")
    with pytest.raises(RemoteFailed, match=r"EC-TAA: aboard offer .* command not found") as caught:
        release.deploy(link, saved(build(1)))
    assert "fab converge --target EC-TAA" in caught.value.remedy


def test_releases_are_listed_with_what_is_current(link: Link, saved: Saved) -> None:
    for number in (1, 2):
        release.deploy(link, saved(build(number)))
    found = release.releases(link)
    assert [(one.kind, one.version, one.stage, one.current) for one in found] == [
        ("onboard", build(2).version, "confirmed", True),
        ("onboard", build(1).version, "confirmed", False),
    ]


def test_a_rollback_sends_nothing(link: Link, saved: Saved) -> None:
    for number in (1, 2):
        release.deploy(link, saved(build(number)))
    outcome = release.rollback(link, "onboard")
    assert (outcome.result, outcome.version) == ("confirmed", build(1).version)
    assert (link.orders[-1], link.sent[-1]) == ("rollback", 0)


def test_a_rollback_with_nothing_to_go_back_to(link: Link, saved: Saved) -> None:
    release.deploy(link, saved(build(1)))
    outcome = release.rollback(link, "onboard")
    assert (outcome.result, outcome.ok) == ("failed", False)
    assert "no good release of onboard" in str(outcome.reason)
    assert isinstance(outcome, Outcome)
