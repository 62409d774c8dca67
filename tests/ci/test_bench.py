"""What benchmarks are made of: a slow way that is as slow as it says, and a table that tells."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from ci.bench.converge import COPIES
from ci.bench.delay import Delay
from ci.bench.reference import role, wanted
from ci.bench.table import Row, show


def echo(server: socket.socket) -> None:
    taken, _ = server.accept()
    with taken:
        while data := taken.recv(1000):
            taken.sendall(data)


def test_a_slow_way_takes_a_round_trip_longer_and_counts_bytes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with (
            Delay(server.getsockname(), 0.1) as slow,
            socket.create_connection(("127.0.0.1", slow.port)) as near,
        ):
            near.settimeout(5)
            began = time.monotonic()
            near.sendall(b"hello")
            assert near.recv(10) == b"hello"
            assert time.monotonic() - began >= 0.1
            assert slow.bytes == 10


def test_a_table_is_met_only_when_every_goal_is(capsys: pytest.CaptureFixture[str]) -> None:
    good = [Row("ratio", 1.2, "×", 1.3), Row("faster", 15, "×", 15, at_least=True)]
    assert show([*good, Row("seconds", 2.0, "s")], as_json=False)
    assert "ratio" in capsys.readouterr().out
    assert not show([*good, Row("bytes", 30, "kB", 25)], as_json=True)
    assert [row["met"] for row in json.loads(capsys.readouterr().out)] == [True, True, False]


@pytest.mark.parametrize(("copies", "least"), [(1, 33), (COPIES, 330)])
def test_the_reference_role_has_as_many_resources_as_it_says(copies: int, least: int) -> None:
    assert len(role.catalog(copies)) >= least
    assert wanted.COUNT == 33 == len(role.catalog())
