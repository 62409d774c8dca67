"""Roles declare without asking anything, and say the same whatever order the inventory is in."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import require
from roles import services
from roles.context import in_group

TOP = Path(__file__).resolve().parents[2]
ROLES = {
    "hangar": ("base", "aboard", "tower", "hangar"),
    "EC-TAA": ("base", "aboard", "tower", "aircraft"),
}


@dataclass(frozen=True)
class Host:
    """A host of the inventory as a role sees it."""

    name: str
    groups: tuple[str, ...]
    tower: str | None
    vars: Mapping[str, Any]
    facts: Mapping[str, str]
    hosts: dict[str, Host] = field(default_factory=dict, compare=False)


def fleet(*, enrolled: bool = True) -> dict[str, Host]:
    def facts(name: str) -> dict[str, str]:
        names = ("host_key", "tower_key", "ssh_key", "dispatch_key")
        return {key: f"{key}-of-{name}" for key in names} if enrolled else {}

    shared = {
        "airline": "TA",
        "airline_name": "Turnaround Air",
        "tower_network": "10.1.64.0/24",
    }
    hosts = {
        "hangar": Host(
            "hangar",
            ("hangar",),
            "10.1.64.1",
            {**shared, "public_address": "10.1.2.2"},
            facts("hangar"),
        ),
        **{
            name: Host(
                name,
                ("aircraft",),
                f"10.1.64.{number}",
                {**shared, "cabin_address": f"10.1.{number}.1", "tower_endpoint": "10.1.2.1:51811"},
                facts(name),
            )
            for number, name in ((11, "EC-TAA"), (12, "EC-TAB"))
        },
    }
    for host in hosts.values():
        host.hosts.update(hosts)
    return hosts


def declared(host: Host) -> require.Catalog:
    with require.declare(templates=TOP / "templates") as catalog:
        for role in ROLES[host.name]:
            with require.declare(role=role):
                import_module(f"roles.{role}").apply(host)
    return catalog


def content(catalog: require.Catalog, path: str) -> str:
    resource: Any = catalog[f"file:{path}"]
    return str(resource.content.decode())


@pytest.mark.parametrize("name", ROLES)
@pytest.mark.parametrize("enrolled", [True, False])
def test_every_role_declares_in_an_order_that_exists(name: str, enrolled: bool) -> None:
    catalog = declared(fleet(enrolled=enrolled)[name])
    assert len(catalog.ordered()) == len(catalog) > 25


def test_an_aircraft_has_the_hangar_as_its_only_peer() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/wireguard/wg0.conf")
    assert text.count("[Peer]") == 1
    assert "AllowedIPs = 10.1.64.1/32" in text
    assert "Endpoint = 10.1.2.1:51811" in text
    assert "PrivateKey" not in text


def test_the_hangar_knows_only_aircraft_that_are_enrolled() -> None:
    assert content(declared(fleet()["hangar"]), "/etc/wireguard/wg0.conf").count("[Peer]") == 2
    hosts = fleet(enrolled=False)
    assert "[Peer]" not in content(declared(hosts["hangar"]), "/etc/wireguard/wg0.conf")


def test_passengers_are_answered_on_the_web_ports_only() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/nftables.conf")
    assert 'iifname "cabin0" tcp dport { 80 } accept' in text
    assert text.count('"cabin0"') == 1
    assert text.count("policy drop") == 2


def test_an_aircraft_key_is_forced_into_its_own_folder() -> None:
    resource: Any = declared(fleet()["hangar"])["user:fleet"]
    assert [line.split(",restrict ")[0].rsplit(" ", 1)[1] for line in resource.authorized_keys] == [
        'EC-TAA"',
        'EC-TAB"',
    ]


def test_settings_name_this_host() -> None:
    text = content(declared(fleet()["EC-TAA"]), "/etc/turnaround/app.env")
    assert 'TURNAROUND_NODE="EC-TAA"\n' in text
    assert 'TURNAROUND_HANGAR_URL="http://10.1.64.1"\n' in text


@pytest.mark.parametrize("name", ["L'Avion", 'The "Best" Air', "$HOME `id` \\\\ Air"])
def test_a_setting_is_read_by_a_shell_as_it_was_written(name: str) -> None:
    line = f'NAME="{services.quoted(name)}"; printf %s "$NAME"'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == name


def test_a_setting_of_two_lines_is_refused() -> None:
    with pytest.raises(require.DeclarationError, match="line break"):
        services.quoted("two\nlines")


def test_groups_without_a_place_in_the_tower_are_left_out() -> None:
    hosts = fleet()
    assert list(in_group(hosts["hangar"], "aircraft")) == ["EC-TAA", "EC-TAB"]
