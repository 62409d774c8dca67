"""The three transports that tests use keep the promises of the protocol."""

from __future__ import annotations

import pytest

from require import CommandFailed, CountingTransport, FakeTransport, LinkLost, LocalTransport
from require.errors import DeadlinePassed


def test_local_runs_a_shell_line_with_the_payload_on_its_input() -> None:
    payload = bytes(range(256)) * 4096
    assert LocalTransport().call("cat", payload, timeout_s=10) == payload


def test_local_reports_exit_code_and_last_words() -> None:
    with pytest.raises(CommandFailed, match="exit code 3: no such thing") as error:
        LocalTransport("EC-TAA").call(
            "echo no such thing >&2; exit 3", b"x" * 200_000, timeout_s=10
        )
    assert error.value.host == "EC-TAA"
    assert error.value.code == 3


def test_local_stops_at_the_deadline() -> None:
    with pytest.raises(DeadlinePassed, match=r"after 0\.1 s"):
        LocalTransport().call("exec sleep 60", b"", timeout_s=0.1)


def test_output_is_passed_on_as_it_arrives() -> None:
    pieces: list[bytes] = []
    LocalTransport().call("echo one; echo two", b"", timeout_s=10, on_output=pieces.append)
    assert b"".join(pieces) == b"one\ntwo\n"


def test_who_gives_up_listening_ends_the_command() -> None:
    def give_up(piece: bytes) -> None:
        raise LinkLost("x", "cut")

    with pytest.raises(LinkLost):
        LocalTransport().call("echo begun; exec sleep 60", b"", timeout_s=30, on_output=give_up)


def test_counting_counts_trips_and_bytes_both_ways() -> None:
    counting = CountingTransport(LocalTransport())
    counting.call("cat", b"12345", timeout_s=10)
    counting.call("true", b"", timeout_s=10)
    assert (counting.trips, counting.bytes_sent, counting.bytes_received) == (2, 8 + 4, 5)


def test_fake_answers_in_order_and_remembers() -> None:
    fake = FakeTransport([b"one", LinkLost("EC-TAA", "cut")], host="EC-TAA")
    assert fake.call("look", b"payload", timeout_s=1) == b"one"
    with pytest.raises(LinkLost, match="EC-TAA: cut"):
        fake.call("apply", b"", timeout_s=1)
    assert [call.command for call in fake.calls] == ["look", "apply"]
    with pytest.raises(AssertionError, match="call 3 was not expected"):
        fake.call("more", b"", timeout_s=1)
