"""Where aircraft get their packages."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from ci.story.world import World
from roles.packages import PORT, SOURCES

pytestmark = pytest.mark.hosts


def test_the_proxy_of_packages_answers_on_the_tower_only(hangar: Host, world: World) -> None:
    tower = world.inventory["hosts"]["hangar"]["tower"]
    assert hangar.service("apt-cacher-ng").is_running
    assert hangar.socket(f"tcp://{tower}:{PORT}").is_listening
    assert not hangar.socket(f"tcp://0.0.0.0:{PORT}").is_listening


def test_the_proxy_gives_debian_and_nothing_else(hangar: Host, world: World) -> None:
    at = f"http://{world.inventory['hosts']['hangar']['tower']}:{PORT}"
    for path, answers in (
        ("debian/dists/trixie/InRelease", "200"),
        ("debian-security/dists/trixie-security/InRelease", "200"),
        ("example.com/", "403"),
    ):
        said = world.ssh("EC-TAA", f"{_STATUS} {at}/{path}").split()
        assert said == [answers], path
    through = f"http_proxy={at} {_STATUS} http://example.com/"
    assert world.ssh("EC-TAA", through).split() == ["403"]


# What the bare host has to ask with.
_STATUS = (
    "python3 -c 'import sys, urllib.request, urllib.error\n"
    "try: print(urllib.request.urlopen(sys.argv[1], timeout=30).status)\n"
    "except urllib.error.HTTPError as error: print(error.code)'"
)


def test_an_aircraft_asks_the_hangar_for_packages_and_nobody_else(
    aircraft: Host, world: World
) -> None:
    tower = world.inventory["hosts"]["hangar"]["tower"]
    for path in SOURCES:
        assert not aircraft.file(path).exists, path
    targets = aircraft.check_output("apt-get indextargets --format '$(SITE)' | sort -u")
    assert targets.splitlines() == [
        f"http://{tower}:{PORT}/debian",
        f"http://{tower}:{PORT}/debian-security",
    ]
