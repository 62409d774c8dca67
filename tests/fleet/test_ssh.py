"""A connection accepts the pinned key only, waits for nothing without end, and goes through the hangar."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

import fleet.channel
import require.errors
from fleet.channel import DeadlinePassed
from fleet.connections import Connections
from fleet.errors import AccessRefused, Exit, FleetError, HostKeyChanged, LinkLost, Offline
from fleet.inventory import Host, Inventory
from fleet.ssh import Connection, Deadlines, Endpoint
from fleet.transport import SshTransport
from tests.fleet.keys import line_of, new_key
from tests.fleet.server import Loopback, mute_server, ssh_server

QUICK = Deadlines(connect_s=1, banner_s=0.4, auth_s=2, channel_s=2)


@pytest.fixture(scope="module")
def ops_key() -> paramiko.PKey:
    return new_key()


@pytest.fixture(scope="module")
def server(ops_key: paramiko.PKey) -> Iterator[Loopback]:
    with ssh_server(ops_key, host_key=new_key()) as running:
        yield running


@pytest.fixture(scope="module")
def far(ops_key: paramiko.PKey) -> Iterator[Loopback]:
    with ssh_server(ops_key, host_key=new_key()) as running:
        yield running


def endpoint(server: Loopback, key: paramiko.PKey, **changes: object) -> Endpoint:
    values: dict[str, object] = {
        "name": "EC-TAA",
        "address": "127.0.0.1",
        "port": server.port,
        "user": "ops",
        "key": key,
        "host_key": server.host_key_line,
    }
    return Endpoint(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def connection(server: Loopback, ops_key: paramiko.PKey) -> Iterator[Connection]:
    opened = Connection(endpoint(server, ops_key), deadlines=QUICK)
    yield opened
    opened.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_pinned_key_is_accepted_and_a_command_runs(connection: Connection) -> None:
    done = connection.run(["printf", "%s|%s", "two words", "$HOME"], timeout_s=5)
    assert (done.exit, done.stdout) == (0, b"two words|$HOME")


def test_exit_code_and_both_outputs_come_back(connection: Connection) -> None:
    done = connection.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout_s=5)
    assert (done.exit, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_remedy(
    server: Loopback, ops_key: paramiko.PKey
) -> None:
    pinned = new_key()
    line = line_of(pinned)
    with pytest.raises(HostKeyChanged) as caught:
        Connection(endpoint(server, ops_key, host_key=line), deadlines=QUICK).open()
    assert pinned.fingerprint in caught.value.what
    assert server.host_key.fingerprint in caught.value.what
    assert caught.value.what.startswith("EC-TAA: ")
    assert "init-machine" in caught.value.remedy
    assert caught.value.exit_code == Exit.FAILED


def test_a_key_of_another_kind_is_a_changed_key_too(
    server: Loopback, ops_key: paramiko.PKey
) -> None:
    pinned = paramiko.ECDSAKey.generate()
    line = line_of(pinned)
    with pytest.raises(HostKeyChanged):
        Connection(endpoint(server, ops_key, host_key=line), deadlines=QUICK).open()


def test_a_changed_key_learns_nothing_from_us(server: Loopback, ops_key: paramiko.PKey) -> None:
    before = len(server.logins)
    line = line_of(new_key())
    with pytest.raises(HostKeyChanged):
        Connection(endpoint(server, ops_key, host_key=line), deadlines=QUICK).open()
    assert len(server.logins) == before


def test_another_key_of_ours_is_refused_by_the_host(server: Loopback) -> None:
    with pytest.raises(AccessRefused) as caught:
        Connection(endpoint(server, new_key()), deadlines=QUICK).open()
    assert caught.value.exit_code == Exit.FAILED
    assert "authorized_keys" in caught.value.remedy


def test_a_host_that_is_not_there_is_off_line(server: Loopback, ops_key: paramiko.PKey) -> None:
    with pytest.raises(Offline) as caught:
        Connection(endpoint(server, ops_key, port=free_port()), deadlines=QUICK).open()
    assert caught.value.exit_code == Exit.OFFLINE


def test_a_host_that_is_gone_while_it_lets_us_in_has_refused_nobody(
    server: Loopback, connection: Connection
) -> None:
    server.gone_at_login.set()
    with pytest.raises(Offline, match="the link broke while it let us in"):
        connection.open()


def test_a_host_that_accepts_and_says_nothing_is_off_line_after_the_deadline(
    server: Loopback, ops_key: paramiko.PKey
) -> None:
    with mute_server() as port:
        started = time.monotonic()
        with pytest.raises(Offline):
            Connection(endpoint(server, ops_key, port=port), deadlines=QUICK).open()
        assert time.monotonic() - started < 4


def test_a_command_that_does_not_end_hits_its_deadline(connection: Connection) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlinePassed) as caught:
        connection.run(["sleep", "30"], timeout_s=0.3)
    assert "EC-TAA" in caught.value.what
    assert "0.3" in caught.value.what
    assert time.monotonic() - started < 3


def test_an_error_names_what_was_run_and_not_the_sudo_before_it(
    server: Loopback, connection: Connection
) -> None:
    connection.open()
    server.silent.set()
    try:
        with pytest.raises(DeadlinePassed, match="EC-TAA: sync-now did not end"):
            connection.run(["sudo", "-n", "-u", "x", "/opt/bin/sync-now", "-v"], timeout_s=0.1)
    finally:
        server.silent.clear()


def test_a_host_that_never_answers_the_request_hits_the_deadline_too(
    server: Loopback, connection: Connection
) -> None:
    connection.open()
    server.silent.set()
    try:
        with pytest.raises(DeadlinePassed):
            connection.run(["true"], timeout_s=0.3)
    finally:
        server.silent.clear()


def test_the_connection_is_of_use_after_a_deadline(connection: Connection) -> None:
    with pytest.raises(DeadlinePassed):
        connection.run(["sleep", "30"], timeout_s=0.2)
    assert connection.run(["echo", "on"], timeout_s=5).stdout == b"on\n"


def test_a_link_that_breaks_while_a_command_runs_is_told_apart(
    server: Loopback, connection: Connection
) -> None:
    connection.open()
    mine = server.transports[-1]
    threading.Timer(0.2, mine.close).start()
    with pytest.raises(LinkLost) as caught:
        connection.run(["sleep", "30"], timeout_s=10)
    assert caught.value.exit_code == Exit.OFFLINE


def test_a_link_that_broke_before_anything_was_sent_is_off_line_and_nothing_ran(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: paramiko.Transport, **_: object) -> paramiko.Channel:
        raise EOFError

    connection.open()
    monkeypatch.setattr(paramiko.Transport, "open_session", gone)
    with pytest.raises(require.errors.Unreachable) as caught:
        SshTransport(connection).call("true", b"", timeout_s=5)
    assert type(caught.value.__cause__) is Offline
    assert str(caught.value) == "EC-TAA: the connection broke (closed)"


def test_a_silent_link_is_given_up_long_before_the_commands_deadline(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.open()
    monkeypatch.setattr(fleet.channel, "PING_AFTER_S", 0.1)
    monkeypatch.setattr(fleet.channel, "DEAD_AFTER_S", 0.4)
    monkeypatch.setattr(fleet.channel, "_ping", lambda transport: None)
    with pytest.raises(LinkLost):
        connection.run(["sleep", "30"], timeout_s=20)


def test_a_quiet_command_on_a_living_link_is_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.open()
    monkeypatch.setattr(fleet.channel, "PING_AFTER_S", 0.05)
    # Long enough for a machine that is busy with something else in between.
    monkeypatch.setattr(fleet.channel, "DEAD_AFTER_S", 1.5)
    assert connection.run(["sleep", "1.7"], timeout_s=20).exit == 0


def test_a_big_input_streams_through_while_output_comes_back(connection: Connection) -> None:
    blocks = (bytes([number % 251]) * 65536 for number in range(96))
    done = connection.run(["sha256sum"], stdin=blocks, timeout_s=30)
    wanted = hashlib.sha256(b"".join(bytes([n % 251]) * 65536 for n in range(96))).hexdigest()
    assert done.stdout.decode().split()[0] == wanted


def test_input_and_output_larger_than_a_window_do_not_block_each_other(
    connection: Connection,
) -> None:
    payload = b"x" * (5 << 20)
    assert connection.run(["cat"], stdin=io.BytesIO(payload), timeout_s=30).stdout == payload


def test_a_fault_in_the_callers_stream_is_the_callers(connection: Connection) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        connection.run(["cat"], stdin=blocks(), timeout_s=5)


def test_lines_are_handed_on_as_they_come(connection: Connection) -> None:
    seen: list[str] = []
    connection.run(["printf", "one\\ntwo\\nthree"], timeout_s=5, on_line=seen.append)
    assert seen == ["one", "two", "three"]


def test_one_connection_is_reused_and_each_command_costs_two_trips(connection: Connection) -> None:
    connection.run(["true"], timeout_s=5)
    after_one = connection.trips
    connection.run(["true"], timeout_s=5)
    assert connection.trips == after_one + 2
    assert 3 <= after_one - 2 <= 10
    assert connection.traffic_bytes > 1000


def test_the_engines_transport_carries_payload_and_names_a_failed_command(
    connection: Connection,
) -> None:
    transport = SshTransport(connection)
    assert transport.call("cat", b"\x00\xffpayload", timeout_s=5) == b"\x00\xffpayload"
    with pytest.raises(require.errors.CommandFailed) as caught:
        transport.call("echo no >&2; exit 3", b"", timeout_s=5)
    assert caught.value.code == 3
    assert "no" in caught.value.stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [("sleep 30", require.errors.DeadlinePassed)],
)
def test_the_engine_gets_its_own_errors_with_ours_as_the_cause(
    connection: Connection, command: str, expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught:
        SshTransport(connection).call(command, b"", timeout_s=0.2)
    assert isinstance(caught.value.__cause__, FleetError)


def test_an_off_line_host_is_unreachable_for_the_engine(
    server: Loopback, ops_key: paramiko.PKey
) -> None:
    gone = Connection(endpoint(server, ops_key, port=free_port()), deadlines=QUICK)
    with pytest.raises(require.errors.Unreachable) as caught:
        SshTransport(gone).call("true", b"", timeout_s=2)
    assert isinstance(caught.value.__cause__, Offline)
    assert str(caught.value).count("EC-TAA") == 1


class TestThroughTheHangar:
    """Two servers: the second is reached through the first, each with its own pinned key."""

    def fleet_of(self, tmp_path: Path, hangar: Loopback, far: Loopback, **far_changes: object):  # type: ignore[no-untyped-def]
        near_host = Host(
            "hangar", ("hangar",), (), "127.0.0.1", hangar.port, tower="127.0.0.9",
            facts={"host_key": hangar.host_key_line},
        )  # fmt: skip
        values = {
            "port": far.port,
            "tower": "127.0.0.1",
            "facts": {"host_key": far.host_key_line},
            **far_changes,
        }
        far_host = Host("EC-TAA", ("aircraft",), (), "192.0.2.1", via="hangar", **values)  # type: ignore[arg-type]
        hosts = {"hangar": near_host, "EC-TAA": far_host}
        return Inventory("lab", tmp_path / "inventory.yml", {}, hosts), far_host

    def test_a_command_runs_on_the_far_host(
        self, tmp_path: Path, server: Loopback, far: Loopback, ops_key: paramiko.PKey
    ) -> None:
        inventory, host = self.fleet_of(tmp_path, server, far)
        with Connections(inventory, ops_key, QUICK) as connections:
            assert connections.to(host).run(["echo", "hello"], timeout_s=5).stdout == b"hello\n"
            near = connections.to(inventory.hosts["hangar"])
            before = near.traffic_bytes
            connections.to(host).run(["cat"], b"x" * 100_000, timeout_s=5)
            assert connections.to(host).traffic_bytes > 200_000
            assert near.traffic_bytes - before < 20_000
        assert server.forwards[-1] == ("127.0.0.1", far.port)
        assert far.commands[-2:] == ["echo hello", "cat"]

    def test_the_far_hosts_key_is_pinned_too(
        self, tmp_path: Path, server: Loopback, far: Loopback, ops_key: paramiko.PKey
    ) -> None:
        inventory, host = self.fleet_of(
            tmp_path, server, far, facts={"host_key": server.host_key_line}
        )
        with (
            Connections(inventory, ops_key, QUICK) as connections,
            pytest.raises(HostKeyChanged),
        ):
            connections.to(host).open()

    def test_an_aircraft_the_hangar_cannot_reach_is_off_line(
        self, tmp_path: Path, server: Loopback, far: Loopback, ops_key: paramiko.PKey
    ) -> None:
        inventory, host = self.fleet_of(tmp_path, server, far, port=free_port())
        with (
            Connections(inventory, ops_key, QUICK) as connections,
            pytest.raises(Offline, match=r"EC-TAA: hangar cannot reach it"),
        ):
            connections.to(host).open()

    def test_when_the_hangar_is_off_line_it_is_asked_once_for_all_behind_it(
        self, tmp_path: Path, server: Loopback, far: Loopback, ops_key: paramiko.PKey
    ) -> None:
        with mute_server() as port:
            mute = Loopback(port, server.host_key)
            inventory, host = self.fleet_of(tmp_path, mute, far)
            with Connections(inventory, ops_key, QUICK) as connections:
                with pytest.raises(Offline, match="the way to it is off-line"):
                    connections.to(host).open()
                started = time.monotonic()
                with pytest.raises(Offline, match="the way to it is off-line"):
                    connections.to(host).open()
                assert time.monotonic() - started < 0.5

    def test_a_hangar_that_fell_silent_is_called_anew(
        self,
        tmp_path: Path,
        server: Loopback,
        far: Loopback,
        ops_key: paramiko.PKey,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def silence(*_: object, **__: object) -> None:
            raise paramiko.SSHException("Timeout opening channel.")

        inventory, host = self.fleet_of(tmp_path, server, far)
        with Connections(inventory, ops_key, QUICK) as connections:
            near = connections.to(inventory.hosts["hangar"])
            near.open()
            assert near._wire is not None
            near._wire.heard_at -= QUICK.channel_s
            monkeypatch.setattr(near._transport(), "open_channel", silence)
            with pytest.raises(Offline, match="no answer through hangar"):
                connections.to(host).open()
            assert connections.to(host).run(["echo", "hello"], timeout_s=5).stdout == b"hello\n"

    def test_a_host_that_was_never_enrolled_is_not_called(
        self, tmp_path: Path, server: Loopback, far: Loopback, ops_key: paramiko.PKey
    ) -> None:
        inventory, host = self.fleet_of(tmp_path, server, far, facts={})
        with (
            Connections(inventory, ops_key, QUICK) as connections,
            pytest.raises(FleetError, match="never enrolled") as caught,
        ):
            connections.to(host)
        assert "init-machine" in caught.value.remedy
