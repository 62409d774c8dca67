"""What follows from a host's name, time zone and locale as they may be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import require
from require.errors import DeclarationError
from require.resource import Change, NoChange, Plan, Resource, Unknown

Case = tuple[Callable[[], Resource], dict[str, Any], Plan]


def name() -> Resource:
    return require.host.hostname("EC-TAA")


def utc() -> Resource:
    return require.host.timezone("Etc/UTC")


def british() -> Resource:
    return require.host.locale("en_GB.UTF-8", generate=["es_ES.UTF-8", "en_GB.UTF-8", "C.UTF-8"])


def plain() -> Resource:
    return require.host.locale("C.UTF-8")


def zone(found: str | None, **more: Any) -> dict[str, Any]:
    return {"zone": found, "named": None, "known": True} | more


def there(**more: Any) -> dict[str, Any]:
    return {"lang": "en_GB.UTF-8", "missing": [], "unlisted": [], "generates": True} | more


HOST: dict[str, Case] = {
    "name as declared": (name, {"running": "EC-TAA", "kept": "EC-TAA"}, NoChange()),
    "another name": (
        name,
        {"running": "debian", "kept": "debian"},
        Change("running debian → EC-TAA, at boot debian → EC-TAA"),
    ),
    "another name until the next boot": (
        name,
        {"running": "debian", "kept": "EC-TAA"},
        Change("running debian → EC-TAA"),
    ),
    "no name at boot": (
        name,
        {"running": "EC-TAA", "kept": None},
        Change("at boot not set → EC-TAA"),
    ),
    "zone as declared": (utc, zone("Etc/UTC"), NoChange()),
    "zone as declared, in both places": (utc, zone("Etc/UTC", named="Etc/UTC"), NoChange()),
    "no zone": (utc, zone(None), Change("not set → Etc/UTC")),
    "another zone": (utc, zone("Europe/Madrid"), Change("Europe/Madrid → Etc/UTC")),
    "another zone in one place": (
        utc,
        zone("Etc/UTC", named="Europe/Madrid"),
        Change("/etc/timezone Europe/Madrid → Etc/UTC"),
    ),
    "a zone that is not there": (
        utc,
        zone("Etc/UTC", known=False),
        Unknown("until there is a zone Etc/UTC"),
    ),
    "locale as declared": (british, there(), NoChange()),
    "another language": (british, there(lang="C"), Change("LANG C → en_GB.UTF-8")),
    "no language": (british, there(lang=None), Change("LANG not set → en_GB.UTF-8")),
    "locales not made": (
        british,
        there(missing=["es_ES.UTF-8"], unlisted=["en_GB.UTF-8", "es_ES.UTF-8"]),
        Change("generate en_GB.UTF-8, es_ES.UTF-8"),
    ),
    "none can be made yet": (
        british,
        there(missing=["es_ES.UTF-8"], generates=False),
        Unknown("until the package locales is installed"),
    ),
    "all of them are there from a package": (
        british,
        there(generates=False),
        NoChange(),
    ),
    "the C library's own needs no package": (
        plain,
        there(lang=None, generates=False),
        Change("LANG not set → C.UTF-8"),
    ),
}


@pytest.mark.parametrize(("make", "state", "expected"), HOST.values(), ids=HOST)
def test_plan(make: Callable[[], Resource], state: dict[str, Any], expected: Plan) -> None:
    with require.declare():
        assert make().plan(state) == expected


def test_an_entry_is_named_by_its_first_name_and_its_kind_of_address() -> None:
    with require.declare() as catalog:
        require.host.hosts_entry("10.0.0.1", "hangar.tower", "hangar")
        require.host.hosts_entry("FE80:0::1", "hangar.tower")
    assert [each.key for each in catalog] == [
        "line:/etc/hosts:hangar.tower:4",
        "line:/etc/hosts:hangar.tower:6",
    ]
    assert [getattr(each, "text", "") for each in catalog] == [
        "10.0.0.1 hangar.tower hangar",
        "fe80::1 hangar.tower",
    ]


@pytest.mark.parametrize(
    "good", ["a", "EC-TAA", "hangar.turnaround.example", "9x", "a" * 64, f"{'a' * 40}.{'b' * 23}"]
)
def test_a_name_that_a_host_can_have(good: str) -> None:
    with require.declare():
        assert require.host.hostname(good).name == good


@pytest.mark.parametrize(
    "bad", ["", "a b", "-a", "a-", "a..b", ".a", "a.", "a_b", "é", "a" * 65, "a\n"]
)
def test_a_name_that_no_host_can_have(bad: str) -> None:
    with require.declare(), pytest.raises(DeclarationError, match="cannot be the name of a host"):
        require.host.hostname(bad)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: require.host.hosts_entry("10.0.0", "a"), "wanted an address"),
        (lambda: require.host.hosts_entry("10.0.0.1"), "wanted a name"),
        (lambda: require.host.hosts_entry("10.0.0.1", "a", "b c"), "name of a host"),
        (lambda: require.host.timezone("../../etc/passwd"), "wanted a zone"),
        (lambda: require.host.timezone("/Etc/UTC"), "wanted a zone"),
        (lambda: require.host.locale("en_GB"), "wanted a locale"),
        (lambda: require.host.locale("C.UTF-8", generate=["en_GB.ISO-8859-1"]), "wanted a locale"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(make: Callable[[], Resource], said: str) -> None:
    with pytest.raises(DeclarationError, match=said), require.declare():
        make()
