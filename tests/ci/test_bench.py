"""What benchmarks are made of: a slow way that is as slow as it says, and a table that tells."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from ci.bench.converge import COPIES
from ci.bench.delay import Delay
from ci.bench.deploy import rows
from ci.bench.reference import role, wanted
from ci.bench.sync import landing, loss, nouns
from ci.bench.table import Row, show
from ci.faults.sync.loss import Loss
from ci.story.teller import NotSo
from ci.story.under_load import Load


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


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        ({}, []),
        ({"bytes": 65_000}, ["a line of the app changed, on the link"]),
        ({"result": "returned"}, ["releases that were not confirmed"]),
        ({"requests": 9999}, ["answers meanwhile"]),
        ({"failures": 1}, ["answers that failed"]),
        ({"mixtures": 1}, ["answers of two releases"]),
        ({"link": 0.05}, ["switch, first rename to last, the longest"]),
        ({"beside": 4.99}, ["roll-back, until the release before serves"]),
    ],
)
def test_a_deploy_that_somebody_notices_meets_no_goal(
    worse: dict[str, object], missed: list[str]
) -> None:
    steps = {"trial": 0.02, "beside": 3.0, "switch": 0.004, "link": 0.001, "restart": 9.0}
    steps |= {key: value for key, value in worse.items() if key in steps}
    one = {"kind": "onboard", "result": "confirmed", "bytes": 19_000, "seconds": 9.0}
    one |= {key: value for key, value in worse.items() if key in one} | {"steps": steps}
    seen = {"requests": 10_000, "failures": 0, "mixtures": 0, "slowest_ms": 900.0}
    load = Load(seen | {key: value for key, value in worse.items() if key in seen}, [one], [one])
    assert [row.name for row in rows(load) if row.met is False] == missed


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        ({}, []),
        ({"changes": 99}, ["changes committed"]),
        ({"kills": 0}, ["killed"]),
        ({"cuts": 0}, ["link cut"]),
        ({"lost": 1}, ["lost"]),
        ({"twice": 1}, ["applied twice"]),
        ({"never_committed": 1}, ["came and were rolled back"]),
        ({"wrong": ["a gap"]}, ["errors at the end"]),
        ({"lost_by_time": 0}, ["updated_at > last loses"]),
        ({"lost_by_number": 0}, ["seq > last loses"]),
    ],
)
def test_what_is_lost_or_was_never_in_danger_meets_no_goal(
    worse: dict[str, Any], missed: list[str]
) -> None:
    good = Loss(changes=100, kills=9, cuts=3, lost_by_time=2, lost_by_number=2)
    found = loss.told("all", replace(good, **worse), 100)
    assert [row.name for row in found if row.met is False] == [f"all, {one}" for one in missed]


@pytest.mark.parametrize("table", ["usage_event", "survey"])
def test_a_landing_that_brought_nothing_is_not_counted(table: str) -> None:
    class World:
        def sql(self, host: str, query: str) -> list[list[str]]:
            return [["9" if host == "hangar" and table in query else "10"]]

    with pytest.raises(NotSo, match=table):
        landing.came(World(), "EC-TAA")  # type: ignore[arg-type]


def test_a_noun_that_fails_is_a_goal_not_met_and_the_others_are_told() -> None:
    def fails(_: bool) -> list[Row]:
        raise ValueError("no room")

    said: list[str] = []
    told = nouns.run({"wire": fails, "loss": lambda full: [Row("lost", 0, "rows", 0)]}, said.append)
    assert [(row.name, row.met) for row in told] == [
        ("wire: could not be measured", False),
        ("loss: lost", True),
    ]
    assert any("no room" in line for line in said)
