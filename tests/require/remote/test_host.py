"""A host's name, time zone and locale, in an /etc of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import require
from require.remote import host
from require.remote.shell import Refused
from require.resource import Change, NoChange, Plan, Resource
from tests.require.remote.programs import Programs

LISTED = "# C.UTF-8 UTF-8\n# en_GB ISO-8859-1\n# en_GB.UTF-8 UTF-8\n# es_ES.UTF-8 UTF-8\n"


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An /etc as Debian 13 has it with the packages tzdata and locales."""
    zones = tmp_path / "zoneinfo"
    for zone in ("Etc/UTC", "Europe/Madrid"):
        (zones / zone).parent.mkdir(parents=True, exist_ok=True)
        (zones / zone).write_bytes(b"TZif")
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "hostname").write_text("debian\n")
    (etc / "localtime").symlink_to(zones / "Europe/Madrid")
    (etc / "locale.gen").write_text(LISTED)
    (tmp_path / "SUPPORTED").write_text(LISTED.replace("# ", ""))
    (tmp_path / "locale-gen").touch()
    # A link to nowhere: it is written through.
    (etc / "default-locale").symlink_to("locale.conf")
    for name, path in {
        "HOSTNAME": etc / "hostname",
        "LOCALTIME": etc / "localtime",
        "TIMEZONE": etc / "timezone",
        "LANG": etc / "default-locale",
        "LISTED": etc / "locale.gen",
        "ZONES": zones,
        "SUPPORTED": tmp_path / "SUPPORTED",
        "GENERATE": tmp_path / "locale-gen",
    }.items():
        monkeypatch.setattr(host, name, str(path))
    return etc


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name that runs, last; this machine keeps its own."""
    names = ["debian"]
    monkeypatch.setattr(host.socket, "sethostname", names.append)
    monkeypatch.setattr(host.os, "uname", lambda: os.uname_result(("", names[-1], "", "", "")))
    return names


def declared(make: Callable[[], Resource]) -> Resource:
    with require.declare():
        return make()


def plan(resource: Resource) -> Plan:
    return resource.plan(host.probe(resource.question()))


def bring(resource: Resource) -> None:
    """Apply what was planned; a second look finds nothing to do."""
    assert isinstance(plan(resource), Change)
    host.apply({**resource.question(), **resource.order()}, host.probe(resource.question()))
    assert plan(resource) == NoChange()


def test_a_name_is_set_now_and_for_each_boot(etc: Path, kernel: list[str]) -> None:
    name = declared(lambda: require.host.hostname("EC-TAA"))
    bring(name)
    assert (etc / "hostname").read_text() == "EC-TAA\n"
    kernel.append("by-hand")
    assert plan(name) == Change("running by-hand → EC-TAA")
    bring(name)
    (etc / "hostname").write_text("# a comment\n\nother\n")
    assert plan(name) == Change("at boot other → EC-TAA")
    (etc / "hostname").unlink()
    bring(name)


def test_a_zone_is_a_link_and_the_file_that_debian_gave_up_is_kept_in_step(etc: Path) -> None:
    utc = declared(lambda: require.host.timezone("Etc/UTC"))
    assert plan(utc) == Change("Europe/Madrid → Etc/UTC")
    bring(utc)
    assert os.readlink(etc / "localtime") == f"{host.ZONES}/Etc/UTC"
    assert not (etc / "timezone").exists()
    (etc / "timezone").write_text("Europe/Madrid\n")
    bring(utc)
    assert (etc / "timezone").read_text() == "Etc/UTC\n"


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: None, "not set"),
        (lambda path: path.write_bytes(b"TZif"), "a file that is no link"),
    ],
    ids=["nothing", "a copy"],
)
def test_what_is_no_link_becomes_one(etc: Path, make: Callable[[Path], object], found: str) -> None:
    (etc / "localtime").unlink()
    make(etc / "localtime")
    utc = declared(lambda: require.host.timezone("Etc/UTC"))
    assert plan(utc) == Change(f"{found} → Etc/UTC")
    bring(utc)


def test_a_link_that_timedatectl_made_is_read(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "ZONES", "/usr/share/zoneinfo")
    (etc / "localtime").unlink()
    (etc / "localtime").symlink_to("../usr/share/zoneinfo/Etc/UTC")
    assert host.probe({"zone": "Etc/UTC"})["zone"] == "Etc/UTC"


def test_a_zone_that_is_not_there_is_refused_with_its_package(etc: Path) -> None:
    with pytest.raises(Refused, match=r"no .*/US/Eastern: .* tzdata, or, .* tzdata-legacy"):
        host.apply({"zone": "US/Eastern"}, host.probe({"zone": "US/Eastern"}))
    assert os.readlink(etc / "localtime").endswith("Europe/Madrid")


@pytest.fixture
def made(etc: Path, programs: Programs) -> list[str]:
    """The locales that exist, as `locale -a` tells them and `locale-gen` makes them."""
    names = ["C", "C.utf8", "POSIX"]

    def answer(argv: Sequence[str], stdin: str) -> tuple[int, str, str]:
        if argv[0] == host.GENERATE:
            lines = (etc / "locale.gen").read_text().splitlines()
            names.extend(
                each.split()[0].replace("UTF-8", "utf8") for each in lines if each[0] != "#"
            )
        return 0, "\n".join(names), ""

    programs.answer = answer
    return names


def test_locales_are_listed_made_and_the_language_is_set(
    etc: Path, made: list[str], programs: Programs
) -> None:
    wanted = declared(lambda: require.host.locale("en_GB.UTF-8", generate=["es_ES.UTF-8"]))
    assert plan(wanted) == Change("generate en_GB.UTF-8, es_ES.UTF-8, LANG not set → en_GB.UTF-8")
    bring(wanted)
    assert (etc / "locale.gen").read_text() == (
        "# C.UTF-8 UTF-8\n# en_GB ISO-8859-1\nen_GB.UTF-8 UTF-8\nes_ES.UTF-8 UTF-8\n"
    )
    assert (etc / "locale.conf").read_text() == "LANG=en_GB.UTF-8\n"
    assert (etc / "default-locale").is_symlink()
    assert [host.GENERATE, "--keep-existing"] in programs.started


def test_only_what_differs_is_done(etc: Path, made: list[str], programs: Programs) -> None:
    wanted = declared(lambda: require.host.locale("en_GB.UTF-8"))
    bring(wanted)
    (etc / "locale.conf").write_text('LC_TIME=C\nLANG="es_ES.UTF-8"\n')
    programs.started.clear()
    bring(wanted)
    assert (etc / "locale.conf").read_text() == "LC_TIME=C\nLANG=en_GB.UTF-8\n"
    assert {argv[0] for argv in programs.started} == {"locale"}
    (etc / "locale.gen").write_text(LISTED)
    assert plan(wanted) == Change("generate en_GB.UTF-8")
    bring(wanted)


def test_locales_that_came_as_a_package_need_no_list(
    etc: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.append("en_GB.utf8")
    monkeypatch.setattr(host, "GENERATE", "/nowhere")
    wanted = declared(lambda: require.host.locale("en_GB.UTF-8"))
    assert plan(wanted) == Change("LANG not set → en_GB.UTF-8")
    bring(wanted)


@pytest.mark.parametrize(
    ("lang", "more", "said"),
    [
        ("xx_XX.UTF-8", {}, "there is no locale xx_XX.UTF-8: .*SUPPORTED lists those"),
        ("en_GB.UTF-8", {"GENERATE": "/nowhere"}, r'to make en_GB.*declare .*packages\(\["locales'),
    ],
)
def test_a_locale_that_cannot_be_made_is_refused(
    etc: Path,
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
    lang: str,
    more: dict[str, Any],
    said: str,
) -> None:
    for name, value in more.items():
        monkeypatch.setattr(host, name, value)
    wanted = declared(lambda: require.host.locale(lang))
    with pytest.raises(Refused, match=said):
        host.apply({**wanted.question(), **wanted.order()}, host.probe(wanted.question()))
    assert (etc / "locale.gen").read_text() == LISTED
    assert not (etc / "locale.conf").exists()
