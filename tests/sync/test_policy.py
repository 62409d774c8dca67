"""Which link it is, and what may pass over it; what waits says why, until the way is another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.settings import LinkRule, Settings
from sync import policy
from sync.policy import Policy
from sync.rsync import link_for

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
# 10.102.2.0/24 on cell0, 10.102.64.0/24 on wg0.
ON_LINK = HEAD + (
    "cell0 0002660A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
    "wg0 0040660A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
)
WWAN = "wwan0 00000000 0102660A 0003 0 0 700 00000000 0 0 0\n"
WLAN = "wlan1 00000000 0102660A 0003 0 0 600 00000000 0 0 0\n"
DOWN = "wlan1 00000000 0102660A 0002 0 0 600 00000000 0 0 0\n"


@pytest.mark.parametrize(
    ("routes", "towards", "found"),
    [
        (ON_LINK, "10.102.2.1", "cell0"),
        (ON_LINK, "203.0.113.9", ""),
        (ON_LINK + WWAN, "203.0.113.9", "wwan0"),
        (ON_LINK + WWAN + WLAN, "203.0.113.9", "wlan1"),
        (ON_LINK + WWAN + DOWN, "203.0.113.9", "wwan0"),
        (ON_LINK + WWAN, "10.102.2.1", "cell0"),
        (ON_LINK + WWAN + WLAN, "tower.example.aero", "wlan1"),
        (ON_LINK, "tower.example.aero", ""),
        (HEAD, "203.0.113.9", ""),
    ],
)
def test_the_way_is_the_interface_of_the_best_route(routes: str, towards: str, found: str) -> None:
    assert policy.interface(routes, towards) == found


def test_what_may_not_pass_says_what_may() -> None:
    metered = Policy("wwan0", LinkRule(name="metered", largest_mb=50, kinds=("newspaper",)))
    assert metered.against("newspaper", 50_000_000) == ""
    assert "on metered (wwan0) nothing but newspaper comes" in metered.against("film", 1)
    assert "nothing above 50 MB comes, and 50.1 MB are missing" in metered.against(
        "newspaper", 50_100_000
    )
    assert "nothing but rows comes" in Policy("wwan0", LinkRule(kinds=())).against("film", 1)
    assert Policy().against("film", 10**12) == ""


@pytest.mark.parametrize(("kbit", "kib_s"), [(None, 0), (1, 1), (2000, 244), (10_000, 1220)])
def test_a_rate_is_told_to_rsync_in_its_own_unit(kbit: int | None, kib_s: int) -> None:
    assert Policy("wwan0", LinkRule(kbit=kbit)).kib_s == kib_s


def test_the_rule_is_that_of_the_interface(
    new_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    routes = tmp_path / "route"
    routes.write_text(ON_LINK + WWAN)
    rules = {"wwan0": {"name": "metered", "kbit": 2000}}
    settings = new_settings(links=rules, tower_endpoint="203.0.113.9:51820")
    assert policy.now(settings, routes).rule.name == "metered"
    routes.write_text(ON_LINK + WWAN + WLAN)
    assert policy.now(settings, routes) == Policy("wlan1", LinkRule())
    assert policy.now(settings, tmp_path / "none") == Policy()
    assert policy.now(new_settings(), routes) == Policy("wlan1")


def test_a_link_is_held_to_its_rate(
    new_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = tmp_path / "route"
    routes.write_text(HEAD + WWAN)
    monkeypatch.setattr(policy.now, "__defaults__", (routes,))
    settings = new_settings(links={"wwan0": {"kbit": 800}}, hangar_ssh="fleet@10.1.0.1")
    link = link_for(settings)
    assert link.kib_s() == 97
    routes.write_text(HEAD + WWAN + WLAN)
    assert link.kib_s() == 0, "each run has the rate of the way there is then"


def test_rules_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNAROUND_LINKS", '{"wwan0": {"kbit": 2000, "kinds": ["newspaper"]}}')
    settings = Settings(node="EC-TAA", role="aircraft")
    assert settings.links == {"wwan0": LinkRule(kbit=2000, kinds=("newspaper",))}
