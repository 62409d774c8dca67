"""What an aircraft must be."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

from ci.checks.conftest import one_serves
from ci.story.world import World

pytestmark = pytest.mark.hosts


@pytest.mark.parametrize("name", ["turnaround-avionics", "turnaround-agent"])
def test_our_units_run_as_our_account(aircraft: Host, name: str) -> None:
    assert aircraft.service(name).is_running
    assert aircraft.service(name).is_enabled
    shown = aircraft.run("systemctl show -p User -p ProtectSystem -p NoNewPrivileges %s", name)
    assert "User=turnaround\n" in shown.stdout
    assert "ProtectSystem=strict" in shown.stdout
    assert "NoNewPrivileges=yes" in shown.stdout


def test_one_version_serves_as_our_account_and_the_link_names_it(aircraft: Host) -> None:
    one_serves(aircraft, "onboard", "api")


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


@pytest.mark.parametrize("name", ["ModemManager", "NetworkManager"])
def test_nobody_but_the_agent_touches_the_modem(aircraft: Host, name: str) -> None:
    assert aircraft.service(name).is_masked
    assert not aircraft.service(name).is_running
    for package in ("modemmanager", "network-manager"):
        assert not aircraft.package(package).is_installed


def test_nothing_of_a_change_of_keys_is_left(aircraft: Host) -> None:
    assert aircraft.run("ls -A /etc/turnaround/keys | grep -F .ne").stdout == ""
    assert aircraft.service("turnaround-tower-follow").is_enabled
    assert not aircraft.service("turnaround-tower-follow").is_running


def test_a_passenger_cannot_try_passwords_for_ever(world: World) -> None:
    address = world.inventory["hosts"][world.aircraft[0]]["vars"]["cabin_address"]
    script = (
        "import json, urllib.error, urllib.request as r\n"
        "def ask(method, path):\n"
        f"    url = 'http://{address}' + path\n"
        '    body = b\'{"email": "a@b.cd", "password": "x"}\' if method == \'POST\' else None\n'
        "    headers = {'Content-Type': 'application/json'}\n"
        "    try: return r.urlopen(r.Request(url, body, headers, method=method)).status\n"
        "    except urllib.error.HTTPError as error: return error.code\n"
        "tries = [ask('POST', '/api/v1/tokens') for _ in range(30)]\n"
        "print(json.dumps([tries, ask('GET', '/'), ask('GET', '/api/v1/content')]))\n"
    )
    said = world.lab.run_in_cabin(world.aircraft[0], ["python3", "-c", script]).stdout
    tries, *pages = json.loads(said)
    assert tries[:10] == [401] * 10
    assert tries[-1] == 429
    assert pages == [200, 200]
