"""What an aircraft must be."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from ci.story.world import World

pytestmark = pytest.mark.hosts


@pytest.mark.parametrize("name", ["turnaround-avionics", "turnaround-api", "turnaround-agent"])
def test_our_units_run_as_our_account(aircraft: Host, name: str) -> None:
    assert aircraft.service(name).is_running
    assert aircraft.service(name).is_enabled
    shown = aircraft.run("systemctl show -p User -p ProtectSystem -p NoNewPrivileges %s", name)
    assert "User=turnaround\n" in shown.stdout
    assert "ProtectSystem=strict" in shown.stdout
    assert "NoNewPrivileges=yes" in shown.stdout


@pytest.mark.parametrize("kind", ["onboard", "html5"])
def test_the_release_is_a_link_to_a_whole_directory(aircraft: Host, kind: str) -> None:
    link = aircraft.file(f"/opt/turnaround/current/{kind}")
    assert link.is_symlink
    assert f"/releases/{kind}/" in link.linked_to
    assert aircraft.file(f"/opt/turnaround/current/{kind}/manifest.json").is_file


def test_the_hangar_is_the_only_peer(aircraft: Host, world: World) -> None:
    allowed = aircraft.run("wg show wg0 allowed-ips").stdout.strip().splitlines()
    assert [line.split("\t")[1] for line in allowed] == [
        f"{world.inventory['hosts']['hangar']['tower']}/32"
    ]


def test_the_hangar_may_only_ask_for_a_synchronisation(aircraft: Host) -> None:
    keys = aircraft.file("/home/dispatch/.ssh/authorized_keys").content_string.splitlines()
    assert len(keys) == 1
    assert keys[0].startswith('command="/opt/turnaround/bin/dispatch",restrict ')


PORTS_SCANNED = [21, 22, 23, 25, 53, 80, 111, 443, 873, 3306, 5432, 5555, 6379, 8000, 8080, 9090]


@pytest.mark.parametrize("number", [0, 1])
def test_a_passenger_finds_the_web_port_open_and_nothing_else(world: World, number: int) -> None:
    name = world.aircraft[number]
    address = world.inventory["hosts"][name]["vars"]["cabin_address"]
    script = (
        "import socket\n"
        f"for port in {PORTS_SCANNED}:\n"
        "    s = socket.socket(); s.settimeout(0.5)\n"
        f"    if s.connect_ex(({address!r}, port)) == 0: print(port)\n"
    )
    found = world.lab.run_in_cabin(name, ["python3", "-c", script])
    assert found.stdout.split() == ["80"], found.stderr


def test_a_passenger_does_not_reach_the_tower(world: World) -> None:
    name = world.aircraft[0]
    hangar = world.inventory["hosts"]["hangar"]["tower"]
    gateway = world.inventory["hosts"][name]["vars"]["cabin_address"]
    script = (
        "import subprocess, socket\n"
        f"subprocess.run(['ip', 'route', 'replace', {hangar!r}, 'via', {gateway!r}], check=True)\n"
        f"s = socket.socket(); s.settimeout(2); print(s.connect_ex(({hangar!r}, 80)))\n"
        f"subprocess.run(['ip', 'route', 'del', {hangar!r}])\n"
    )
    found = world.lab.run_in_cabin(name, ["python3", "-c", script])
    assert found.stdout.strip() not in ("", "0"), found.stderr
