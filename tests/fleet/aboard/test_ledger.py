"""The audit log and the counters: nothing that was answered for is lost, and no counter comes twice."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.aboard import ledger
from fleet.aboard.errors import BadOrder
from fleet.aboard.world import World

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOON_S = int(NOON.timestamp())
ISSUE: dict[str, Any] = {
    "who": "eva@desk",
    "what": "deploy",
    "kind": "onboard",
    "version": "20260101000000-000000000001",
    "targets": ["EC-TAA", "EC-TAB"],
}
ENDED: dict[str, Any] = {
    "who": "eva@desk",
    "what": "deploy",
    "ended": "2 hosts: all released",
    "targets": {"EC-TAA": "released", "EC-TAB": "released"},
    "counters": [NOON_S],
}


@pytest.fixture
def hangar(tmp_path: Path) -> World:
    return World(root=tmp_path, now=lambda: NOON)


def log(world: World) -> Path:
    return world.root / "var/lib/turnaround/audit/audit.jsonl"


def dumped(order: object) -> bytes:
    return json.dumps(order).encode()


def test_a_counter_is_the_time_or_one_more_than_the_last(hangar: World) -> None:
    issued = [ledger.issue(hangar, dumped(ISSUE)) for _ in range(3)]
    assert issued == [NOON_S, NOON_S + 1, NOON_S + 2]
    ledger.record(hangar, dumped({**ENDED, "counters": [NOON_S + 900]}))
    later = replace(hangar, now=lambda: datetime(2027, 1, 1, tzinfo=UTC))
    assert ledger.issue(later, dumped(ISSUE)) == int(later.now().timestamp())
    assert ledger.issue(hangar, dumped(ISSUE)) == int(later.now().timestamp()) + 1


def test_a_hangar_that_was_built_again_issues_no_lower_one(hangar: World) -> None:
    before = ledger.issue(hangar, dumped(ISSUE))
    log(hangar).unlink()
    later = replace(hangar, now=lambda: datetime(2026, 11, 25, 12, 0, 1, tzinfo=UTC))
    assert ledger.issue(later, dumped(ISSUE)) > before


def test_what_is_written_says_who_what_when_where_and_how_it_ended(
    hangar: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ops")
    counter = ledger.issue(hangar, dumped(ISSUE))
    ledger.record(hangar, dumped(ENDED))
    at = {"at": "2026-11-25T12:00:00Z", "login": "ops"}
    assert ledger.last(hangar, 9) == [
        {"event": "issued", "counter": counter, **ISSUE, **at},
        {"event": "ended", **ENDED, **at},
    ]
    assert ledger.last(hangar, 1)[0]["event"] == "ended"
    assert ledger.last(hangar, 0) == []
    assert log(hangar).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("torn", [b'{"event": "issued", "coun', b'{"counter": 9}', b"\0" * 300])
def test_a_line_that_a_power_cut_tore_goes_and_the_next_is_whole(
    hangar: World, torn: bytes
) -> None:
    ledger.issue(hangar, dumped(ISSUE))
    before = log(hangar).read_bytes()
    log(hangar).write_bytes(before + torn)
    assert ledger.issue(hangar, dumped(ISSUE)) == NOON_S + 1
    lines = log(hangar).read_bytes().splitlines(keepends=True)
    assert lines[0] == before
    assert [json.loads(line)["counter"] for line in lines] == [NOON_S, NOON_S + 1]


def test_a_line_that_the_disk_damaged_is_said_and_kept(hangar: World) -> None:
    ledger.issue(hangar, dumped(ISSUE))
    damaged = b"\xff\xfe nobody wrote this\n"
    log(hangar).write_bytes(damaged + log(hangar).read_bytes())
    assert ledger.issue(hangar, dumped(ISSUE)) == NOON_S + 1
    assert [one["event"] for one in ledger.last(hangar, 9)] == ["damaged", "issued", "issued"]
    assert log(hangar).read_bytes().startswith(damaged)


def test_many_at_once_get_a_counter_each(hangar: World) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(ledger.issue(hangar, dumped(ISSUE))))
        for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert sorted(found) == list(range(NOON_S, NOON_S + 8))
    assert len(ledger.last(hangar, 99)) == 8


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (b"", "the order: expected a JSON object of kind, targets, version, what, who"),
        (b"[" * 9000, "the order: expected a JSON object"),
        (dumped([1]), "the order: expected a JSON object"),
        (dumped({**ISSUE, "more": 1}), "the order: expected a JSON object"),
        (dumped({**ISSUE, "who": ""}), "who: expected a line of 1 to 200 characters"),
        (dumped({**ISSUE, "who": "a\nb"}), "who: expected a line"),
        (dumped({**ISSUE, "what": "x" * 201}), "what: expected a line"),
        (dumped({**ISSUE, "kind": 7}), "kind: expected a line"),
        (dumped({**ISSUE, "targets": "EC-TAA"}), "targets: expected at most 5000 names of hosts"),
        (dumped({**ISSUE, "targets": ["../etc"]}), "targets: expected at most 5000 names"),
        (dumped({**ISSUE, "targets": ["EC-TAA"] * 5001}), "targets: expected at most 5000 names"),
        (b" " * (ledger.ORDER_LIMIT + 1), "more than 1048576 bytes"),
    ],
)
def test_an_order_that_is_not_as_agreed_writes_nothing(
    hangar: World, order: bytes, said: str
) -> None:
    with pytest.raises(BadOrder, match=said) as caught:
        ledger.issue(hangar, order)
    assert caught.value.exit_code == 65
    assert not log(hangar).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"targets": ["EC-TAA"]}, "targets: expected at most 5000 hosts and how it ended there"),
        ({"targets": {"EC-TAA": "x" * 151}}, "targets.EC-TAA: expected a line of at most 150"),
        ({"counters": [True]}, "counters: expected at most 100 numbers"),
        ({"counters": None}, "counters: expected at most 100 numbers"),
        ({"ended": "a\tb"}, "ended: expected a line of 1 to 2000"),
    ],
)
def test_an_end_that_is_not_as_agreed_writes_nothing(
    hangar: World, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadOrder, match=said):
        ledger.record(hangar, dumped({**ENDED, **change}))
    assert not log(hangar).exists()


def test_the_largest_fleet_fits_into_one_order(hangar: World) -> None:
    targets = {f"EC-{number:05d}": "x" * ledger.SAID_LIMIT for number in range(5000)}
    ledger.record(hangar, json.dumps({**ENDED, "targets": targets}).encode())
    assert len(ledger.last(hangar, 1)[0]["targets"]) == 5000
