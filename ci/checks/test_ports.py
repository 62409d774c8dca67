"""What each side of a host answers: knocked at from where its people and its peers stand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from testinfra.host import Host

from ci.checks import scan
from ci.checks.conftest import Connect
from ci.story.world import World

pytestmark = pytest.mark.hosts

USUAL = [21, 22, 23, 25, 53, 80, 111, 443, 873, 3306, 5432, 5555, 6379, 8000, 8080, 9090]
# Prints those of some ports that take a connection. A firewall that drops says nothing, so all are
# tried at once.
KNOCK = """
import json, socket
from concurrent.futures import ThreadPoolExecutor
address, ports = {address!r}, {ports!r}
def opens(port):
    with socket.socket() as s:
        s.settimeout(2)
        return s.connect_ex((address, port)) == 0
with ThreadPoolExecutor(len(ports)) as pool:
    print(json.dumps([port for port, open in zip(ports, pool.map(opens, ports)) if open]))
"""


@dataclass(frozen=True)
class Side:
    """One side of a host, and who knocks at it: runs a Python program there, returns its output."""

    host: str
    address: str
    knock: Callable[[str], str]


def from_here(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout


def side(world: World, host: int, name: str) -> Side:
    """The side `name` of the hangar (0) or of an aircraft (1, 2)."""
    hangar, *aircraft = ["hangar", *world.aircraft]
    own = ["hangar", *world.aircraft][host]
    hosts = world.inventory["hosts"]
    if name == "public":
        return Side(own, hosts[own]["vars"]["public_address"], from_here)
    if name == "cabin":
        return Side(
            own,
            hosts[own]["vars"]["cabin_address"],
            lambda program: world.lab.run_in_cabin(own, ["python3", "-c", program]).stdout,
        )
    peer = hangar if host else aircraft[0]
    return Side(
        own,
        hosts[own]["tower"],
        lambda program: world.ssh(peer, "python3 -", stdin=program),
    )


def listening(host: Host) -> list[int]:
    """The TCP ports that anything on the host listens on, at whatever address."""
    lines = host.run("ss -Hltn").stdout.splitlines()
    return sorted({int(line.split()[3].rpartition(":")[2]) for line in lines})


@pytest.mark.parametrize(
    ("host", "name", "expected"),
    [
        (0, "public", [22, 80]),
        (0, "tower", [22, 80, 3142]),
        (1, "tower", [22]),
        (2, "tower", [22]),
        (1, "cabin", [80, 443]),
        (2, "cabin", [80, 443]),
    ],
    ids=lambda value: str(value) if not isinstance(value, list) else "-".join(map(str, value)),
)
def test_these_ports_are_open_and_no_other(
    world: World, connect: Connect, host: int, name: str, expected: list[int]
) -> None:
    here = side(world, host, name)
    ports = sorted({*USUAL, *listening(connect(here.host))})
    assert json.loads(here.knock(KNOCK.format(address=here.address, ports=ports))) == expected


def scanned(address: str) -> object:
    """What answers of all TCP ports and the usual UDP ones, a refusal too: without a firewall all do."""
    return json.loads(
        subprocess.run(
            [sys.executable, scan.__file__, address], capture_output=True, text=True, check=True
        ).stdout
    )


def test_a_cable_at_the_gate_leads_to_ssh_and_nothing_else(world: World) -> None:
    name = world.aircraft[0]
    world.lab.ramp(name, True)
    try:
        found = scanned(world.lab.host(name).plan.port("ramp0").ip)
    finally:
        world.lab.ramp(name, False)
    assert found == {"tcp": [22], "udp": []}


def test_an_aircraft_answers_nothing_on_the_cellular_side(world: World) -> None:
    for name in world.aircraft:
        found = scanned(world.lab.host(name).plan.port("cell0").ip)
        assert found == {"tcp": [], "udp": []}, name


def test_the_ramp_is_unplugged(world: World) -> None:
    for name in world.aircraft:
        address = world.lab.host(name).plan.port("ramp0").ip
        assert json.loads(from_here(KNOCK.format(address=address, ports=USUAL))) == []


@pytest.mark.parametrize("host", [0, 1, 2])
def test_the_web_server_listens_where_it_was_told_to(
    world: World, connect: Connect, host: int
) -> None:
    name = ["hangar", *world.aircraft][host]
    here = world.inventory["hosts"][name]
    lines = connect(name).run("ss -Hltn 'sport = :80'").stdout.splitlines()
    if host:
        expected = [f"{here['vars']['cabin_address']}:80"]
    else:
        expected = [f"{here['vars']['public_address']}:80", f"{here['tower']}:80"]
    assert sorted(line.split()[3] for line in lines) == sorted(expected)
