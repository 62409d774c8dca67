"""Where the time comes from. A lab's hosts cannot set their clocks, so what is asked is who would tell."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from ci.story.world import World

pytestmark = pytest.mark.hosts

# A question of SNTP (RFC 4330): version 4, mode 3; the answer's mode is 4, its stratum the second byte.
ASK = """
import socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
    way.settimeout(5)
    way.sendto(b"\\x23" + 47 * b"\\0", (%r, 123))
    answer = way.recv(512)
print(answer[0] & 7, answer[1], struct.unpack("!I", answer[40:44])[0] - 2208988800)
"""


def test_the_hangar_tells_the_time_over_the_tower(world: World) -> None:
    address = world.inventory["hosts"]["hangar"]["tower"]
    said = world.ssh(world.aircraft[0], "date +%s; python3 -", stdin=ASK % address)
    here, mode, stratum, told = map(int, said.split())
    assert (mode, 0 < stratum < 16) == (4, True)
    assert abs(told - here) < 5


def test_the_hangar_tells_it_to_the_tower_only(hangar: Host, world: World) -> None:
    lines = hangar.check_output("ss -Hulnp sport = :123").splitlines()
    assert [line.split()[3] for line in lines] == [
        f"{world.inventory['hosts']['hangar']['tower']}:123"
    ]


def test_an_aircraft_asks_the_hangar_and_nobody_else(aircraft: Host, world: World) -> None:
    said = aircraft.check_output("systemd-analyze cat-config systemd/timesyncd.conf")
    asked = [line for line in said.splitlines() if line.startswith(("NTP=", "FallbackNTP="))]
    assert asked == [f"NTP={world.inventory['hosts']['hangar']['tower']}", "FallbackNTP="]
    assert aircraft.service("systemd-timesyncd").is_enabled
