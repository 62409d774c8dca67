"""What packages and their sources make of what they may find. One small case per situation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown
from tests.require.armoured import KEY

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]
URI = "https://cabin.example/debian"


def cabin(**more: Any) -> require.apt.Repository:
    given: dict[str, Any] = {"uris": [URI], "suites": ["trixie"], "components": ["main"]}
    return require.apt.repository("cabin", **(given | {"key": KEY} | more))


def pinned() -> Resource:
    return require.apt.packages(["nginx=1.26.*", "redis=5:8.0.2-3", "sudo"])


def from_cabin() -> Resource:
    return require.apt.packages(["galley"], needs=[cabin()])


def seen(**more: Any) -> dict[str, Any]:
    return {"dpkg": True, "missing": []} | more


SOURCE = f"""# Written by turnaround.
Types: deb
URIs: {URI}
Suites: trixie
Components: main
Signed-By: /etc/apt/keyrings/cabin.asc
"""
RIGHT = {"kind": "file", "mode": 0o644, "owner": "root", "group": "root", "size": 1}
NO_DPKG = {"dpkg": False, "missing": [], "present": []}
THERE = "/etc/apt/sources.list.d/cabin.sources"


def files(**more: Any) -> dict[str, Any]:
    """Both files of a repository as declared, or otherwise."""
    with require.declare():
        questions = cabin().question()["files"]
    return {"files": [RIGHT | {"sha": each["sha"]} | more for each in questions]}


def but_its_key(**more: Any) -> dict[str, Any]:
    key, source = files()["files"]
    return {"files": [key | more, source]}


CASES: dict[str, Case] = {
    "versions as declared": (
        pinned,
        seen(versions={"nginx": "1.26.3-3+deb13u1", "redis": "5:8.0.2-3"}),
        NoChange(),
    ),
    "another version, a longer number, and one missing": (
        pinned,
        seen(missing=["redis"], versions={"nginx": "1.260-1"}),
        Change("install redis=5:8.0.2-3, nginx 1.260-1 → 1.26.*"),
    ),
    "missing, its repository not there yet": (
        from_cabin,
        seen(missing=["galley"], waiting=[THERE]),
        Unknown(f"until {THERE} is there"),
    ),
    "missing, its repository there": (
        from_cabin,
        seen(missing=["galley"], waiting=[]),
        Change("install galley"),
    ),
    "there, its repository not": (from_cabin, seen(waiting=[THERE]), NoChange()),
    "absent": (lambda: require.apt.absent(["telnetd"]), seen(present=[]), NoChange()),
    "not absent": (
        lambda: require.apt.absent(["telnetd", "ftp"], purge=True),
        seen(present=["ftp"]),
        Change("purge ftp"),
    ),
    "absent without dpkg": (
        lambda: require.apt.absent(["telnetd"]),
        NO_DPKG,
        Unknown("there is no dpkg on this host", blocked=True),
    ),
    "held": (lambda: require.apt.held(["nginx"]), seen(held=["nginx"]), NoChange()),
    "not held": (
        lambda: require.apt.held(["nginx", "redis"]),
        seen(held=["redis"]),
        Change("hold nginx"),
    ),
    "held, not installed": (
        lambda: require.apt.held(["nginx"]),
        seen(missing=["nginx"], held=[]),
        Unknown("until nginx is installed"),
    ),
    "held, and should not": (
        lambda: require.apt.held(["nginx"], hold=False),
        seen(held=["nginx"]),
        Change("unhold nginx"),
    ),
    "held without dpkg": (
        lambda: require.apt.held(["nginx"]),
        NO_DPKG,
        Unknown("there is no dpkg on this host", blocked=True),
    ),
    "repository as declared": (cabin, files(), NoChange()),
    "repository with another key": (
        cabin,
        but_its_key(sha="0"),
        Change(
            "/etc/apt/keyrings/cabin.asc: content",
            "(the text on the host, 1 bytes, is too large or not a text)\n",
        ),
    ),
    "repository of another mode": (
        cabin,
        files(mode=0o600),
        Change(
            f"/etc/apt/keyrings/cabin.asc: mode 0600 → 0644, {THERE}: mode 0600 → 0644",
        ),
    ),
    "repository with a directory in its place": (
        cabin,
        but_its_key(kind="directory"),
        Unknown(
            "/etc/apt/keyrings/cabin.asc: a directory is in the way of this file: move it",
            blocked=True,
        ),
    ),
}


@pytest.mark.parametrize(("make", "state", "expected"), CASES.values(), ids=CASES)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected


def test_a_source_is_shown_as_it_will_be() -> None:
    with require.declare():
        repository = cabin()
    plan = repository.plan({"files": [{"kind": "absent"}, {"kind": "absent"}]})
    assert isinstance(plan, Change)
    assert all(f"+{line}" in plan.diff for line in SOURCE.splitlines())
    assert f"+{KEY.splitlines()[3]}" in plan.diff


def test_a_flat_source_with_a_keyring_of_the_host() -> None:
    with require.declare():
        repository = cabin(
            suites=["./"],
            components=[],
            architectures=["amd64", "all"],
            key="/usr/share/keyrings/debian-archive-keyring.gpg",
        )
    assert repository.keyring is None
    assert repository.source.content.decode().splitlines()[3:] == [
        "Suites: ./",
        "Architectures: amd64 all",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    ]


def test_the_proxy_comes_before_what_is_fetched() -> None:
    with require.declare() as catalog:
        from_cabin()
        require.apt.proxy("http://10.100.64.1:3142")
    order = [each.key for each in catalog.ordered()]
    assert order == [
        "file:/etc/apt/apt.conf.d/30turnaround-proxy",
        "apt.repository:cabin",
        "apt.packages:galley",
    ]


def test_upgrades_by_themselves_are_of_security_only_and_restart_nothing_unasked() -> None:
    with require.declare() as catalog:
        made = require.apt.unattended_upgrades()
    text = made.content.decode()
    assert "#clear Unattended-Upgrade::Origins-Pattern;" in text
    assert text.count("origin=") == text.count("-security,label=Debian-Security") == 1
    assert 'Automatic-Reboot "false";' in text
    assert [each.key for each in catalog.ordered()] == [
        "apt.packages:unattended-upgrades",
        "file:/etc/apt/apt.conf.d/99turnaround-upgrades",
        "systemd.service:apt-daily.timer",
        "systemd.service:apt-daily-upgrade.timer",
    ]
    with require.declare():
        text = require.apt.unattended_upgrades(reboot_at="03:30").content.decode()
    assert 'Automatic-Reboot "true";\nUnattended-Upgrade::Automatic-Reboot-Time "03:30";' in text
    with require.declare() as catalog:
        text = require.apt.unattended_upgrades(daily=False).content.decode()
    assert 'APT::Periodic::Unattended-Upgrade "0";' in text
    timers = catalog.ordered()[-2:]
    assert [(each.enabled, each.running) for each in timers] == [(False, False)] * 2


def test_a_preference_is_a_stanza() -> None:
    with require.declare():
        made = require.apt.preference("no-snap", packages=["snapd"], pin="release *", priority=-1)
    assert made.path == "/etc/apt/preferences.d/no-snap.pref"
    assert made.content.decode().endswith("Package: snapd\nPin: release *\nPin-Priority: -1\n")


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a name that removes": (lambda: require.apt.packages(["nginx-"]), "list of package names"),
    "a name for a list": (lambda: require.apt.packages("nginx"), "list of package names"),
    "no names": (lambda: require.apt.held([]), "list of package names"),
    "a pattern": (lambda: require.apt.absent(["linux-*"]), "list of package names"),
    "no version": (lambda: require.apt.packages(["nginx="]), "wanted a version"),
    "a version that is an option": (lambda: require.apt.packages(["a1=-o"]), "wanted a version"),
    "two versions": (lambda: require.apt.packages(["nginx=1", "nginx=2"]), "nginx is named twice"),
    "no time": (lambda: require.apt.unattended_upgrades(reboot_at="24:00"), "03:30"),
    "a file name that apt passes over": (
        lambda: require.apt.repository("a.b", uris=[URI], suites=["./"], key=KEY),
        "letters, digits",
    ),
    "no uri": (lambda: cabin(uris=["cabin.example"]), "uris="),
    "a text for a list": (lambda: cabin(suites="trixie"), "suites="),
    "a second line": (lambda: cabin(components=["main\nTrusted: yes"]), "components="),
    "a password": (lambda: cabin(uris=["https://a:b@cabin.example/"]), "auth.conf.d"),
    "flat with components": (lambda: cabin(suites=["./"]), "is flat"),
    "a private key": (lambda: cabin(key=KEY.replace("PUBLIC", "PRIVATE")), "a private key"),
    "a key's first half": (lambda: cabin(key=KEY[:200]), "no block"),
    "a good key and a bad one": (lambda: cabin(key=KEY + KEY.replace("iz/J", "iz/K")), "checksum"),
    "no pin": (
        lambda: require.apt.preference("a", packages=["*"], pin="trixie", priority=1),
        "release n=trixie",
    ),
    "no priority": (
        lambda: require.apt.preference("a", packages=["*"], pin="release *", priority=0),
        "no meaning",
    ),
    "no proxy": (lambda: require.apt.proxy('http://a"; x'), "http://host:port"),
}


@pytest.mark.parametrize(("make", "said"), WRONG.values(), ids=WRONG)
def test_what_apt_would_not_take_is_said_when_it_is_declared(
    make: Callable[[], object], said: str
) -> None:
    with require.declare(), pytest.raises(DeclarationError, match=said):
        make()
