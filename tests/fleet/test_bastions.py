"""The way to a host leads through others, each with its own key and account, one connection each."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paramiko
import pytest

import fleet.ssh
from fleet.channel import DeadlinePassed
from fleet.connections import Connections
from fleet.errors import AccessRefused, HostKeyChanged, Offline
from fleet.inventory import Host, Inventory
from fleet.ssh import Connection, Deadlines, Endpoint
from tests.fleet.keys import line_of, new_key, write_key
from tests.fleet.server import Loopback, mute_server, ssh_server
from tests.fleet.sshd import sshd

QUICK = Deadlines(connect_s=1, banner_s=0.4, auth_s=2, channel_s=2)
NAMES = ("gate", "hangar", "EC-TAA")


@pytest.fixture(scope="module")
def ops_key() -> paramiko.PKey:
    return new_key()


@pytest.fixture
def servers(ops_key: paramiko.PKey) -> Iterator[dict[str, Loopback]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                ssh_server(ops_key, users=(f"at-{name.lower()}",), host_key=new_key())
            )
            for name in NAMES
        }


def fleet_of(servers: dict[str, Loopback], **changes: dict[str, Any]) -> Inventory:
    """Each host behind the one before it."""
    hosts = {}
    for name, via in zip(NAMES, (None, *NAMES), strict=False):
        values: dict[str, Any] = {
            "port": servers[name].port,
            "user": f"at-{name.lower()}",
            "via": via,
            "facts": {"host_key": servers[name].host_key_line},
            **changes.get(name, {}),
        }
        hosts[name] = Host(name, (), (), "127.0.0.1", **values)
    return Inventory("lab", Path("inventory.yml"), {}, hosts)


def test_each_hop_is_reached_through_the_one_before_it_with_its_own_key_and_account(
    servers: dict[str, Loopback], ops_key: paramiko.PKey
) -> None:
    known = fleet_of(servers)
    with Connections(known, ops_key, QUICK) as connections:
        done = connections.to(known.hosts["EC-TAA"]).run(["echo", "hello"], timeout_s=5)
    assert done.stdout == b"hello\n"
    assert [servers[name].logins for name in NAMES] == [["at-gate"], ["at-hangar"], ["at-ec-taa"]]
    assert servers["gate"].forwards == [("127.0.0.1", servers["hangar"].port)]
    assert servers["hangar"].forwards == [("127.0.0.1", servers["EC-TAA"].port)]


def test_only_who_is_in_the_tower_calls_a_place_in_it(
    servers: dict[str, Loopback], ops_key: paramiko.PKey
) -> None:
    known = fleet_of(servers, hangar={"tower": "127.0.0.2"}, **{"EC-TAA": {"tower": "127.0.0.3"}})
    with Connections(known, ops_key, QUICK) as connections:
        ends = [connections.to(known.hosts[name]).endpoint.address for name in NAMES]
    assert ends == ["127.0.0.1", "127.0.0.1", "127.0.0.3"]


@pytest.mark.parametrize("name", ["gate", "hangar"])
def test_a_key_that_changed_on_the_way_is_told_and_that_host_is_asked_once(
    name: str, servers: dict[str, Loopback], ops_key: paramiko.PKey
) -> None:
    known = fleet_of(servers, **{name: {"facts": {"host_key": line_of(new_key())}}})
    with Connections(known, ops_key, QUICK) as connections:
        for _ in range(3):
            with pytest.raises(HostKeyChanged, match=f"the way to it is barred: {name}: the host"):
                connections.to(known.hosts["EC-TAA"]).open()
    assert len(servers[name].transports) == 1
    assert servers["EC-TAA"].transports == []


def test_a_hop_that_refuses_us_is_not_tried_again_for_each_host_behind_it(
    servers: dict[str, Loopback], ops_key: paramiko.PKey
) -> None:
    known = fleet_of(servers, hangar={"user": "stranger"})
    with Connections(known, ops_key, QUICK) as connections:
        for _ in range(3):
            with pytest.raises(AccessRefused, match="the way to it is barred") as caught:
                connections.to(known.hosts["EC-TAA"]).open()
            assert "stranger needs this line" in caught.value.remedy
    assert len(servers["hangar"].transports) == 1


def test_a_hop_that_is_away_is_named(servers: dict[str, Loopback], ops_key: paramiko.PKey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    known = fleet_of(servers, gate={"port": free})
    with (
        Connections(known, ops_key, QUICK) as connections,
        pytest.raises(Offline, match=rf"EC-TAA: the way .*: hangar: .*: gate: 127.0.0.1:{free}"),
    ):
        connections.to(known.hosts["EC-TAA"]).open()


def test_a_host_is_hung_up_on_and_a_hop_of_others_is_not(
    servers: dict[str, Loopback], ops_key: paramiko.PKey
) -> None:
    known = fleet_of(servers)
    with Connections(known, ops_key, QUICK) as connections:
        connections.to(known.hosts["EC-TAA"]).open()
        for name in NAMES:
            connections.hang_up(known.hosts[name])
        up = [connections.to(known.hosts[name])._fabric is not None for name in NAMES]
    assert up == [True, True, False]


def test_a_real_gateway_counts_no_session_for_what_it_forwards(tmp_path: Path) -> None:
    key = write_key(tmp_path)
    with (
        sshd(tmp_path / "near", line_of(key), MaxSessions=1, MaxStartups=2) as near,
        sshd(tmp_path / "far", line_of(key), MaxStartups="30:30:60") as far,
    ):
        hosts = {
            "gate": Host(
                "gate", (), (), "127.0.0.1", near.port, near.user,
                facts={"host_key": near.host_key_line},
            )
        }  # fmt: skip
        for number in range(12):
            name = f"EC-T{number:02}"
            facts = {"host_key": far.host_key_line}
            hosts[name] = Host(
                name, (), (), "127.0.0.1", far.port, far.user, via="gate", facts=facts
            )
        known = Inventory("lab", tmp_path / "inventory.yml", {}, hosts)
        with Connections(known, key) as connections, ThreadPoolExecutor(12) as pool:
            behind = [host for host in hosts.values() if host.via]
            all_up = threading.Barrier(len(behind))

            def work(host: Host) -> bytes:
                connections.to(host).open()
                all_up.wait(20)
                return connections.to(host).run(["echo", host.name], timeout_s=20).stdout

            said = list(pool.map(work, behind))
    assert said == [f"{host.name}\n".encode() for host in behind]


def test_no_more_sessions_are_open_at_once_than_an_sshd_gives(
    servers: dict[str, Loopback], ops_key: paramiko.PKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.ssh, "SESSIONS", 1)
    known, goes_on = fleet_of(servers), threading.Event()
    servers["gate"].answer = lambda *_: (0 if goes_on.wait(5) else 1, b"", b"")
    with Connections(known, ops_key, QUICK) as connections, ThreadPoolExecutor(1) as pool:
        gate = connections.to(known.hosts["gate"])
        first = pool.submit(gate.run, ["first"], timeout_s=5)
        while "first" not in servers["gate"].commands:
            time.sleep(0.005)
        with pytest.raises(DeadlinePassed, match=r"second had no turn within 0\.1 s"):
            gate.run(["second"], timeout_s=0.1)
        goes_on.set()
        assert first.result().exit == 0
        assert gate.run(["third"], timeout_s=5).exit == 0
    assert servers["gate"].commands == ["first", "third"]


def test_closing_does_not_wait_for_one_that_is_being_opened(ops_key: paramiko.PKey) -> None:
    with mute_server() as port, ThreadPoolExecutor(1) as pool:
        line = line_of(ops_key)
        waits = Connection(Endpoint("EC-TAA", "127.0.0.1", port, "ops", ops_key, line), None, QUICK)
        opening = pool.submit(waits.open)
        while waits._lock.acquire(blocking=False):
            waits._lock.release()
        started = time.monotonic()
        waits.close()
        assert time.monotonic() - started < 0.2
        with pytest.raises(Offline):
            opening.result()
