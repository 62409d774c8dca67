"""This machine's packages: what is missing is installed, said in one line, or named with the command."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from fleet import packages
from fleet.errors import FleetError

DPKG = "rsync installed\nnginx config-files\nffmpeg not-installed\n"


class Apt:
    """Stands for dpkg and apt-get: remembers what was asked, fails as often as it is told."""

    def __init__(self, installed: str = "", failures: int = 0) -> None:
        self.installed = installed
        self.failures = failures
        self.asked: list[str] = []

    def __call__(self, argv: list[str]) -> str:
        if argv[0] == "dpkg-query":
            return self.installed
        self.asked.append(argv[1])
        if argv[1] == "install" and self.failures:
            self.failures -= 1
            raise FleetError("apt-get install failed (100): E: Unable to locate package")
        return ""


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def use(monkeypatch: pytest.MonkeyPatch, apt: Apt) -> Apt:
    monkeypatch.setattr(packages, "_run", apt)
    return apt


def test_a_package_that_was_removed_counts_as_missing() -> None:
    assert packages.missing(["rsync", "nginx", "ffmpeg", "curl"], DPKG) == [
        "nginx",
        "ffmpeg",
        "curl",
    ]


def test_what_is_installed_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    apt, said = use(monkeypatch, Apt("rsync installed\n")), []
    packages.ensure(["rsync"], say=said.append)
    assert (apt.asked, said) == ([], [])


@pytest.mark.usefixtures("as_root")
def test_what_is_missing_is_installed_and_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    apt, said = use(monkeypatch, Apt("rsync installed\n")), []
    packages.ensure(["rsync", "nginx"], purpose="the lab", say=said.append)
    assert apt.asked == ["install"]
    assert said == ["turnaround: installing nginx for the lab (apt-get, once)"]


@pytest.mark.usefixtures("as_root")
def test_stale_lists_are_refreshed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = use(monkeypatch, Apt(failures=1))
    packages.ensure(["nginx"], say=lambda line: None)
    assert apt.asked == ["install", "update", "install"]


@pytest.mark.usefixtures("as_root")
def test_what_apt_cannot_install_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Apt(failures=2))
    with pytest.raises(
        FleetError, match=r"could not install nginx for the lab: .*\n.*install nginx"
    ):
        packages.ensure(["nginx"], purpose="the lab", say=lambda line: None)


def test_without_root_the_command_to_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Apt())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(FleetError, match="as root: apt-get install nginx"):
        packages.ensure(["nginx"])


def test_without_apt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(
        FleetError, match="the lab needs the Debian packages nginx, and this machine"
    ):
        packages.ensure(["nginx"], purpose="the lab")


@pytest.mark.usefixtures("as_root")
def test_what_another_run_installed_meanwhile_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "LOCK", tmp_path / "lock")
    apt, looked = use(monkeypatch, Apt()), threading.Event()
    first = packages._dpkg

    def dpkg(names: list[str]) -> str:
        try:
            return first(names)
        finally:
            looked.set()

    monkeypatch.setattr(packages, "_dpkg", dpkg)
    with packages._alone():
        waiting = threading.Thread(target=packages.ensure, args=(["nginx"],))
        waiting.start()
        looked.wait(10)
        apt.installed = "nginx installed\n"
    waiting.join(10)
    assert apt.asked == []
