"""What a phone in the cabin gets, and all that it does not get."""

from __future__ import annotations

import json
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from ci.checks import scan
from ci.checks.conftest import Connect
from ci.lab.certificates import LEVEL, PORTAL, SECRET, authority, signed
from ci.story.world import TOP, World
from fleet import packages

pytestmark = pytest.mark.hosts

PORTS = {"tcp": [80, 443], "udp": [53]}
NONE: dict[str, list[int]] = {"tcp": [], "udp": []}
# An address that is the box's, on a side that is not the cabin.
ELSEWHERE = "fd00:abcd::1"
CALL = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def opens(place):
    address, _, port = place.rpartition(":")
    with socket.socket() as s:
        s.settimeout(2)
        return s.connect_ex((address, int(port))) == 0
with ThreadPoolExecutor(32) as pool:
    print(json.dumps([at for at, open in zip(sys.argv[1:], pool.map(opens, sys.argv[1:])) if open]))
"""
# One SYN from a sender that one is not.
FORGE = """
import socket, struct, sys
def put(source, target, port):
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    tcp = lambda check: struct.pack("!HHIIBBHHH", 4711, port, 1, 0, 80, 2, 1024, check, 0)
    over = ends + struct.pack("!HH", 6, 20) + tcp(0)
    total = sum(struct.unpack("!%dH" % (len(over) // 2), over))
    total = (total & 0xFFFF) + (total >> 16)
    ip = struct.pack("!BBHHHBBH", 69, 0, 40, 1, 0, 64, 6, 0) + ends
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(ip + tcp(~(total + (total >> 16)) & 0xFFFF), (target, 0))
for source in sys.argv[2:]:
    put(source, sys.argv[1], 80)
"""
# Prints how many connections it was given, and holds them until it is told to end.
HOLD = """
import select, socket, sys, time
doors = [socket.socket() for _ in range(300)]
for door in doors:
    door.setblocking(False)
    door.connect_ex((sys.argv[1], 80))
time.sleep(2)
print(len(select.select([], doors, [], 0)[1]), flush=True)
sys.stdin.read()
"""
LEASE = """#!/bin/sh
[ "$1" = bound ] && env | grep -E '^(ip|mask|router|dns|lease|opt114)='
exit 0
"""


class Cabin:
    """The first aircraft's cabin: what the test knows of it, and its two phones."""

    def __init__(self, world: World) -> None:
        self.world, self.name = world, world.aircraft[0]
        plan = world.lab.plan
        self.box = plan.aircraft(1).port("cabin0")
        self.box6 = self.box.address6.partition("/")[0]
        self.plans = {number: plan.cabin_client(1, number) for number in (1, 2)}

    def run(self, *argv: str, phone: int = 1, **options: Any) -> str:
        return str(self.world.lab.run_in_cabin(self.name, argv, phone=phone, **options).stdout)

    def ip(self, *lines: str, phone: int = 1) -> None:
        self.run("ip", "-batch", "-", phone=phone, input="\n".join(lines), check=True)

    def calls(self, *places: str, phone: int = 1) -> list[str]:
        """Those of some addresses with port that take a connection."""
        return list(json.loads(self.run(sys.executable, "-c", CALL, *places, phone=phone)))

    def scan(self, address: str) -> dict[str, list[int]]:
        said = self.run(sys.executable, str(Path(scan.__file__)), address)
        return dict(json.loads(said))

    def curl(self, *words: str, phone: int = 1) -> str:
        found = [
            "--resolve",
            f"{PORTAL}:443:{self.box.ip}",
            "--resolve",
            f"{PORTAL}:80:{self.box.ip}",
        ]
        trusts = ["--cacert", str(authority(self.world.lab.directory))]
        return self.run(
            "curl", "--silent", "--max-time", "20", *found, *trusts, *words, phone=phone
        )


@pytest.fixture(scope="module")
def cabin(world: World) -> Cabin:
    packages.ensure(["curl", "busybox"], purpose="phones in the cabin")
    return Cabin(world)


@pytest.fixture(scope="module")
def box(world: World, connect: Connect) -> Host:
    return connect(world.aircraft[0])


@pytest.fixture
def neighbours(cabin: Cabin, box: Host) -> Iterator[str]:
    """Lets phone and box find each other over IPv6, which the box answers no question about.

    Without it a scan would end at the phone's own kernel. Yields the box's link-local address.
    """
    (shown,) = json.loads(box.run("ip -json address show dev cabin0").stdout)
    (link_local,) = (one["local"] for one in shown["addr_info"] if one["scope"] == "link")
    mac = box.file("/sys/class/net/cabin0/address").content_string.strip()
    phone = json.loads(cabin.run("ip", "-json", "address", "show", "dev", "wifi0"))[0]
    own = [each["local"] for each in phone["addr_info"] if each["family"] == "inet6"]
    theirs = [cabin.box6, link_local, ELSEWHERE]
    cabin.ip(
        *(f"neighbour replace {each} lladdr {mac} dev wifi0 nud permanent" for each in theirs),
        f"route replace {ELSEWHERE}/128 dev wifi0",
    )
    for each in own:
        box.run_expect([0], f"ip neighbour replace {each} lladdr {phone['address']} dev cabin0")
    box.run_expect([0], f"ip address replace {ELSEWHERE}/128 dev wg0 nodad")
    yield link_local
    box.run_expect([0], f"ip address delete {ELSEWHERE}/128 dev wg0")
    box.run_expect([0], "ip -6 neighbour flush dev cabin0 nud all")
    cabin.ip(
        *(f"neighbour delete {each} dev wifi0" for each in theirs),
        f"route delete {ELSEWHERE}/128 dev wifi0",
    )


def received(box: Host) -> int:
    return int(box.file("/sys/class/net/cabin0/statistics/rx_packets").content_string)


def test_these_ports_answer_in_the_cabin_and_no_other(cabin: Cabin) -> None:
    assert cabin.scan(cabin.box.ip) == PORTS


@pytest.mark.parametrize("which", ["own", "link-local", "another side's"])
def test_over_ipv6_nothing_answers_in_the_cabin(
    cabin: Cabin, box: Host, neighbours: str, which: str
) -> None:
    address = {"own": cabin.box6, "link-local": f"{neighbours}%wifi0"}.get(which, ELSEWHERE)
    before = received(box)
    assert cabin.scan(address) == NONE
    assert received(box) - before > 2 * 65_000, "what was asked has reached the box"


def test_its_other_addresses_are_not_answered_in_the_cabin(cabin: Cabin, box: Host) -> None:
    plan = cabin.world.lab.plan.aircraft(1)
    others = [plan.tower, *(plan.port(side).ip for side in ("ramp0", "cell0"))]
    assert [cabin.scan(each) for each in others] == [NONE] * 3
    cabin.ip(f"route replace {plan.tower}/32 dev wifi0")
    try:
        assert cabin.calls(f"{plan.tower}:80", f"{cabin.box.ip}:80") == [f"{cabin.box.ip}:80"]
        shown = {
            each: cabin.run("ip", "neighbour", "show", each) for each in (plan.tower, cabin.box.ip)
        }
        assert "lladdr" not in shown[plan.tower], "who has it is not told"
        assert "lladdr" in shown[cabin.box.ip]
    finally:
        cabin.ip(f"route delete {plan.tower}/32 dev wifi0")


def test_hangar_tower_and_ramp_are_out_of_reach(cabin: Cabin) -> None:
    world = cabin.world
    hangar, other = world.lab.plan.hangar, world.lab.plan.aircraft(2)
    there = [hangar.tower, hangar.port("cell0").ip, other.tower, other.port("cabin0").ip]
    there += [world.lab.plan.cell_machine, other.port("ramp0").ip]
    assert cabin.calls(
        f"{cabin.box.ip}:80", *(f"{each}:{p}" for each in there for p in (22, 80))
    ) == [f"{cabin.box.ip}:80"]


def test_another_phone_is_out_of_reach_through_the_box_too(cabin: Cabin) -> None:
    one, two = (cabin.plans[number].address.partition("/")[0] for number in (1, 2))
    namespace = cabin.plans[2].namespace
    with subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-m", "http.server", "8099"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            deadline = time.monotonic() + 10
            while not cabin.calls(f"{two}:8099", phone=2):
                assert time.monotonic() < deadline, "the other phone's own server did not start"
            assert cabin.calls(f"{two}:8099") == []
            for number, far in ((1, two), (2, one)):
                cabin.ip(f"route replace {far}/32 via {cabin.box.ip}", phone=number)
            assert cabin.calls(f"{two}:8099") == []
        finally:
            server.terminate()
            for number, far in ((1, two), (2, one)):
                cabin.run("ip", "route", "delete", f"{far}/32", phone=number)


def test_a_phone_that_claims_to_be_in_the_tower_is_not_heard(cabin: Cabin, box: Host) -> None:
    honest = cabin.box.ip.rpartition(".")[0] + ".77"
    forged = cabin.world.lab.plan.tower_network.removesuffix(".0/24") + ".250"
    cabin.run(sys.executable, "-c", FORGE, cabin.box.ip, forged, honest, check=True)
    waiting = box.run("ss -Htan state syn-recv").stdout
    assert f"{honest}:4711" in waiting
    assert forged not in waiting


def test_a_phone_that_holds_connections_is_given_no_more(cabin: Cabin) -> None:
    argv = ["ip", "netns", "exec", cabin.plans[1].namespace, sys.executable, "-c", HOLD]
    pipe = subprocess.PIPE
    with subprocess.Popen([*argv, cabin.box.ip], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout
        assert 100 < int(holder.stdout.readline()) <= 128
        assert cabin.calls(f"{cabin.box.ip}:80", phone=1) == []
        assert cabin.calls(f"{cabin.box.ip}:80", phone=2) == [f"{cabin.box.ip}:80"]


@pytest.mark.parametrize("phone", [1, 2])
def test_a_phone_gets_an_address_and_the_way_to_the_portal(
    cabin: Cabin, box: Host, tmp_path: Path, phone: int
) -> None:
    script = tmp_path / "lease"
    script.write_text(LEASE)
    script.chmod(0o755)
    words = ["-i", "wifi0", "-f", "-n", "-q", "-t", "5", "-T", "2", "-O", "114", "-s", str(script)]
    said = cabin.run("busybox", "udhcpc", *words, phone=phone, check=True)
    lease = dict(line.split("=", 1) for line in said.splitlines())
    assert bytes.fromhex(lease.pop("opt114")).decode() == f"https://{PORTAL}/captive/api"
    assert int(lease.pop("ip").rpartition(".")[2]) in range(100, 251)
    assert lease == {"mask": "24", "router": cabin.box.ip, "dns": cabin.box.ip, "lease": "3600"}
    assert box.service("turnaround-dnsmasq").is_running


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [
        (PORTAL, "A", 0, 1),
        ("captive.apple.com", "A", 0, 1),
        ("captive.apple.com", "AAAA", 0, 0),
        ("connectivitycheck.gstatic.com", "A", 0, 1),
        ("www.example.com", "A", 3, 0),
        ("www.google.com", "AAAA", 3, 0),
    ],
)
def test_names_that_lead_to_the_portal_exist_and_no_others(
    cabin: Cabin, name: str, kind: str, code: int, answers: int
) -> None:
    number = {"A": 1, "AAAA": 28}[kind]
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = (
        struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, number, 1)
    )
    ask = (
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5);"
        "s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 53)); print(s.recv(512).hex())"
    )
    said = bytes.fromhex(cabin.run(sys.executable, "-c", ask, cabin.box.ip, question.hex()))
    flags, _, found = struct.unpack("!HHH", said[2:8])
    assert (flags & 0xF, found) == (code, answers)
    if answers:
        assert ".".join(map(str, said[-4:])) == cabin.box.ip


def test_the_sheet_of_a_phone_opens_the_portal_once(cabin: Cabin, box: Host) -> None:
    for client in cabin.plans.values():
        box.run_expect([0], f"redis-cli del captive:{client.address.partition('/')[0]}")
    probe = [
        "--header",
        "Host: connectivitycheck.gstatic.com",
        f"http://{cabin.box.ip}/generate_204",
    ]
    shown = ["--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"]
    captive = f"https://{PORTAL}/captive"
    assert cabin.curl(*shown, *probe, phone=2) == f"302 {captive}"
    api = [f"{captive}/api"]
    assert json.loads(cabin.curl(*api, phone=2)) == {
        "captive": True,
        "user-portal-url": captive,
        "venue-info-url": f"https://{PORTAL}/",
    }
    assert "<form" in cabin.curl(captive, phone=2)
    pressed = ["--request", "POST", "--header", f"Origin: https://{PORTAL}", captive]
    assert cabin.curl(*shown, *pressed, phone=2) == f"303 https://{PORTAL}/"
    assert cabin.curl(*shown, *probe, phone=2).strip() == "204"
    assert json.loads(cabin.curl(*api, phone=2))["captive"] is False
    assert cabin.curl(*shown, *probe, phone=1) == f"302 {captive}"


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        (f"http://{PORTAL}/film/1", f"302 https://{PORTAL}/film/1"),
        ("http://www.msftconnecttest.com/redirect", f"302 https://{PORTAL}/"),
        (f"https://{PORTAL}/", "200 "),
    ],
)
def test_people_are_led_to_the_portals_own_name(cabin: Cabin, asked: str, led: str) -> None:
    here = ["--connect-to", f"::{cabin.box.ip}:"]
    shown = ["--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"]
    assert cabin.curl(*here, *shown, asked) == led


def test_pages_come_compressed_over_http_2_and_what_all_ask_for_is_kept(
    cabin: Cabin, box: Host
) -> None:
    shown = [
        "--compressed",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_version} %{size_download}",
    ]
    version, size = cabin.curl("--http2", *shown, f"https://{PORTAL}/").split()
    assert version == "2"
    assert int(size) < len(cabin.curl(f"https://{PORTAL}/"))
    for _ in "123":
        for path in ("/api/v1/content?language=de", "/"):
            cabin.curl("--output", "/dev/null", f"https://{PORTAL}{path}")
    log = box.file("/var/log/nginx/access.log").content_string.splitlines()[-6:]
    assert [line.split()[-1] for line in log if " /api/v1/content " in line][1:] == ["HIT", "HIT"]
    assert {line.split()[-1] for line in log if " / " in line} == {"MISS"}
    assert not [line for line in log if cabin.plans[1].address.partition("/")[0] in line]
    assert not [line for line in log if "language=de" in line]


def test_the_days_that_its_certificate_holds_reach_the_hangar(world: World) -> None:
    (row,) = [each for each in world.fab_json("status") if each["name"] == world.aircraft[0]]
    assert 25 < row["certificates"][PORTAL] <= 90
    assert row["ending"] == {}


def test_a_new_certificate_is_taken_and_nobody_notices(cabin: Cabin) -> None:
    world = cabin.world
    before = shown(cabin)
    stop, failed = threading.Event(), []

    def visit() -> None:
        while not stop.is_set():
            code = cabin.curl(
                "--output", "/dev/null", "--write-out", "%{http_code}", f"https://{PORTAL}/join"
            )
            if code != "200":
                failed.append(code)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        subprocess.run(
            ["./inv", "secrets.edit", "--level", LEVEL, "--name", SECRET],
            input=signed(world.lab.directory, PORTAL, days=30),
            cwd=TOP,
            env=world.environment,
            text=True,
            check=True,
            capture_output=True,
        )
        world.fab("converge", "--target", "all")
    finally:
        stop.set()
        visitor.join()
    assert failed == []
    assert shown(cabin) != before
    world.fab("converge", "--target", cabin.name, "--check")


def shown(cabin: Cabin) -> str:
    """The certificate that a phone is shown."""
    ask = "import ssl, sys; print(ssl.get_server_certificate((sys.argv[1], 443)))"
    said = cabin.run(sys.executable, "-c", ask, cabin.box.ip, check=True)
    assert ssl.PEM_HEADER in said
    return said


def test_the_key_is_roots_alone(box: Host) -> None:
    file = box.file("/etc/turnaround/keys/site.pem")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)


def test_the_unit_that_answers_strangers_can_do_little_else(box: Host) -> None:
    said = box.run("systemd-analyze security --no-pager turnaround-dnsmasq.service").stdout
    assert float(said.rpartition("service: ")[2].split()[0]) <= 3.0
