"""The lab for real: hosts boot, meet only through the relay, lose power, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.lab import Lab, cgroup
from ci.lab.addresses import owned_interface, owned_namespace
from ci.lab.errors import LabFault

pytestmark = pytest.mark.hosts

# Two runs on one machine must not meet, nor this lab the story's of the same run.
NAME = f"bare{os.getpid() % 10**4}"
AIRCRAFT = "EC-TAA"
# Answers each datagram with itself, as long as the host stands.
ECHO = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 51820))\n"
    "while True: data, back = s.recvfrom(2000); s.sendto(data, back)"
)
# Prints the seconds that a datagram took there and back, or nothing.
ASK = (
    "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)\n"
    "start = time.monotonic(); s.sendto(b'x', ('{relay}', {port}))\n"
    "try: s.recv(10); print(time.monotonic() - start)\n"
    "except OSError: pass"
)
CONNECT = (
    "import socket\n"
    "try: socket.create_connection(('{address}', 22), 1); print('open')\n"
    "except OSError: print('shut')"
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab(NAME)
    try:
        made.up(2)
        yield made
    finally:
        made.down()


def on(lab: Lab, host: str, *argv: str, stdin: str = "") -> str:
    """Runs a program on a host over SSH and returns what it printed."""
    done = subprocess.run(
        ["ssh", "-F", str(lab.ssh_config()), host, *argv],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def python(lab: Lab, host: str, program: str) -> str:
    return on(lab, host, "python3", "-", stdin=program)


def connect(lab: Lab, host: str, address: str) -> str:
    return python(lab, host, CONNECT.format(address=address))


def ask_hangar(lab: Lab) -> float | None:
    """Returns how long a datagram takes from the aircraft to the hangar and back, in seconds."""
    relay = ASK.format(relay=lab.plan.cell_machine, port=51811)
    took = python(lab, AIRCRAFT, relay)
    return float(took) if took else None


def test_every_host_is_a_bare_debian_13_under_its_own_name(lab: Lab):
    for host in ("hangar", "EC-TAA", "EC-TAB"):
        seen = on(lab, host, "hostname; . /etc/os-release; echo $VERSION_ID; ls /home; id -un")
        assert seen.split() == [host, "13", "root"]
        assert on(lab, host, "systemctl is-system-running --wait") == "running"


def test_hosts_share_no_identity(lab: Lab):
    assert len({host.tree.fingerprint for host in lab.hosts}) == 3
    assert len({on(lab, host.name, "cat /etc/machine-id") for host in lab.hosts}) == 3


def test_up_again_leaves_what_runs(lab: Lab):
    before = [on(lab, host.name, "stat -c %Y /proc/1") for host in lab.hosts]
    lab.up(1)
    assert [on(lab, host.name, "stat -c %Y /proc/1") for host in lab.hosts] == before


def test_aircraft_and_hangar_meet_only_through_the_relay(lab: Lab):
    hangar, other = lab.plan.hangar, lab.plan.aircraft(2)
    assert connect(lab, AIRCRAFT, hangar.port("cell0").ip) == "shut"
    assert connect(lab, AIRCRAFT, other.port("cell0").ip) == "shut"
    assert connect(lab, "hangar", lab.plan.aircraft(1).port("cell0").ip) == "shut"
    assert connect(lab, "hangar", lab.plan.aircraft(1).port("ramp0").ip) == "shut"
    on(lab, "hangar", "systemd-run", "--quiet", "--unit=echo", "python3", "-c", f'"{ECHO}"')
    # The unit is there before its port is.
    assert any(ask_hangar(lab) for _ in range(5))


def test_the_link_is_as_it_was_set(lab: Lab):
    lab.link(AIRCRAFT, rtt_ms=200)
    assert (ask_hangar(lab) or 0) >= 0.2
    lab.link(AIRCRAFT, up=False)
    before = sent(lab)
    assert ask_hangar(lab) is None
    assert sent(lab)["lost"] > before["lost"]
    lab.link(AIRCRAFT, up=True, rtt_ms=0)
    assert ask_hangar(lab)
    assert sent(lab)["packets"] > before["packets"]


def sent(lab: Lab) -> dict[str, int]:
    """What the aircraft sent over its link so far: packets, bytes, lost."""
    counted = {host["name"]: host.get("link") for host in lab.status()["hosts"]}[AIRCRAFT]
    return dict(counted["sent"])


def test_a_power_cut_gives_no_time_and_keeps_the_files(lab: Lab):
    on(lab, AIRCRAFT, "echo kept >/root/note; systemd-run --quiet --unit=late sleep 1000")
    identity = on(lab, AIRCRAFT, "cat /etc/machine-id /root/note")
    lab.power(AIRCRAFT, on=False)
    assert {host.name: host.running for host in lab.hosts}[AIRCRAFT] is False
    lab.power(AIRCRAFT, on=True)
    assert on(lab, AIRCRAFT, "cat /etc/machine-id /root/note") == identity
    assert on(lab, AIRCRAFT, "systemctl is-active late || true") == "inactive"


def test_a_pulled_ramp_cable_stays_out_when_power_returns(lab: Lab):
    lab.ramp(AIRCRAFT, up=False)
    lab.power(AIRCRAFT, on=False)
    lab.power(AIRCRAFT, on=True)
    carrier = Path("/sys/class/net") / lab.plan.aircraft(1).port("ramp0").outside / "operstate"
    assert carrier.read_text().strip() == "down"
    lab.ramp(AIRCRAFT, up=True)
    assert on(lab, AIRCRAFT, "hostname") == AIRCRAFT


def test_the_phone_in_the_cabin_reaches_its_aircraft_and_no_further(lab: Lab):
    cabin = lab.plan.aircraft(1).port("cabin0").ip
    hangar = lab.plan.hangar.port("cell0").ip
    answers = [
        lab.run_in_cabin(AIRCRAFT, ["python3", "-c", CONNECT.format(address=address)]).stdout
        for address in (cabin, hangar)
    ]
    assert answers == ["open\n", "shut\n"]


def test_a_recorded_flight_reaches_the_serial_port(lab: Lab):
    lab.fly(AIRCRAFT, "AFR34ZG", window="0:60")
    got = on(lab, AIRCRAFT, "head -c 600 /dev/ttyAVIONICS | od -An -tx1 | tr -d ' \\n'")
    assert "a55a01" in got


def test_what_the_roles_install_is_there_without_a_network(lab: Lab):
    lab.ramp("EC-TAB", up=False)
    init = lab.host("EC-TAB").group / "payload/init.scope/cgroup.procs"
    inside = ["nsenter", "--all", "--target", init.read_text().split()[0]]
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "rsync", "sudo", "nginx"]
    done = subprocess.run([*inside, *install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lab.ramp("EC-TAB", up=True)


def test_a_dead_daemon_is_started_again_by_up(lab: Lab):
    procs = cgroup.group(NAME, "daemon") / "cgroup.procs"
    os.kill(int(procs.read_text()), signal.SIGKILL)
    cgroup.wait_empty(cgroup.group(NAME, "daemon"))
    assert lab.status()["daemon"] == "died"
    lab.up(1)
    assert lab.status()["daemon"] == "running"
    lab.fly(AIRCRAFT, "AFR34ZG", window="0:60")
    assert on(lab, AIRCRAFT, "head -c 100 /dev/ttyAVIONICS | wc -c") == "100"


def test_the_same_name_cannot_be_started_from_another_checkout(lab: Lab, tmp_path: Path):
    with pytest.raises(LabFault, match=f"a lab called {NAME} is already up, started from"):
        Lab(NAME, top=tmp_path).up(1)
    with pytest.raises(LabFault, match="already up"):
        Lab(NAME, top=tmp_path).down()
    assert all(host.running for host in lab.hosts)


def test_after_down_nothing_of_it_is_left(lab: Lab):
    lab.power(AIRCRAFT, on=False)  # a lab that is half up must go as well
    lab.down()
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    namespaces = Path("/run/netns")
    assert f"turnaround-lab-{NAME} " not in saved
    assert not any(map(owned_interface(NAME).fullmatch, os.listdir("/sys/class/net")))
    assert not any(
        owned_namespace(NAME).fullmatch(each.name)
        for each in (namespaces.iterdir() if namespaces.exists() else ())
    )
    assert f"/{NAME}/" not in Path("/proc/mounts").read_text()
    assert not cgroup.group(NAME).exists()
    assert not (cgroup.MOUNT / "systemd" / "turnaround" / NAME).exists()
    assert not list(Path("/run/turnaround/labs").glob(f"{NAME}*"))
    assert not lab.directory.exists()
    assert lab.status() == {"lab": NAME, "hosts": []}
