"""Samples of what takes long: some steps met by some faults, a seed of chaos, some of the loss harness."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from ci.faults.sync import chaos, edits, loss, matrix
from ci.faults.sync.nodes import Node, Nodes
from ci.faults.sync.order import Ended
from ci.faults.sync.stand import Ends, Stand
from ci.story.teller import NotSo
from tests.conftest import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

_number = itertools.count()


class Here(Stand):
    """Two ends on the tests' own server, without file systems of their own."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._ends = Ends(server, folder, next(_number))

    @property
    def ends(self) -> Ends:
        assert self._ends
        return self._ends


@pytest.mark.parametrize(
    ("where", "step", "fault"),
    [
        ("aircraft", "seal committed", "kill"),
        ("aircraft", "session pushing", "cut"),
        ("aircraft", "session fetching", "cut"),
        ("aircraft", "content naming", "kill"),
        ("aircraft", "ack accepting", "kill"),
        ("hangar", "apply ledger", "kill"),
    ],
)
def test_a_fault_at_a_step_loses_nothing(
    postgres_server: PostgresServer,
    migrated_template: str,
    memory: Path,
    where: str,
    step: str,
    fault: str,
) -> None:
    stand = Here(postgres_server, memory)
    try:
        matrix.cell(where, step, fault, stand, Random(f"{step}/{fault}"))
    finally:
        stand.mend()


def remove(node: Node, *tables: str) -> None:
    """Removes all rows behind the back of whatever records and guards them."""
    node.sql("set local session_replication_role = replica", *(f"delete from {t}" for t in tables))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("usage_event", "EC-TAA: . rows of usage_event are lost"),
        ("survey", "the catalogue at the hangar is not what editors made it"),
    ],
)
def test_a_row_does_not_hold_when_both_ends_lost_the_same(
    postgres_server: PostgresServer,
    migrated_template: str,
    memory: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    said: str,
) -> None:
    def loses(ends: Ends, *_: object) -> Ended:
        for node in (ends.aircraft, ends.nodes.hangar):
            remove(node, table, f"sync.dirty where tbl = '{table}'")
        return Ended(met=True)

    monkeypatch.setattr(matrix, "hindered", loses)
    stand = Here(postgres_server, memory)
    try:
        stand.ends.nodes.hangar.sql(
            "insert into survey (id, question, choices) values (gen_random_uuid(), '{}', '[]')"
        )
        with pytest.raises(NotSo, match=f"^{said}$"):
            matrix.cell("aircraft", "seal claimed", "kill", stand, Random(1))
    finally:
        stand.mend()


def test_chaos_does_not_hold_when_both_ends_lost_the_same(
    postgres_server: PostgresServer,
    migrated_template: str,
    memory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    landing = chaos._landing

    def loses(nodes: Nodes, *rest: Any) -> int:
        for aircraft in nodes.aircraft:
            remove(aircraft, "usage_event", "sync.dirty where tbl = 'usage_event'")
        return landing(nodes, *rest)

    monkeypatch.setattr(chaos, "_landing", loses)
    with pytest.raises(NotSo, match="rows of usage_event are lost"):
        chaos.chaos(postgres_server, memory, Random(1), 2, f"five{next(_number)}")


def test_rows_without_a_ledger_are_wrong(
    postgres_server: PostgresServer, migrated_template: str, memory: Path
) -> None:
    nodes = Nodes(postgres_server, memory, f"loss{next(_number)}")
    try:
        aircraft, found = nodes.add("EC-TAA"), loss.Loss()
        nodes.hangar.sql(
            "set local sync.applying = 'on'",
            "insert into usage_event (id, kind, aircraft) values (gen_random_uuid(), 'play', 'EC-TAA')",
        )
        loss._count(nodes.hangar, aircraft, set(), loss._Naive(aircraft), found)
        assert (found.twice, found.wrong) == (0, ["1 rows came, and the ledger has 0"])
    finally:
        nodes.close()


@pytest.mark.parametrize(("left", "was"), [("0", True), ("2410", False), (None, False)])
def test_a_push_that_ended_before_its_cut_was_not_cut(
    memory: Path, left: str | None, was: bool
) -> None:
    cut = memory / "link-is-cut"
    if left is not None:
        cut.write_text(left)
    assert loss._was_cut(cut) is was


def test_no_key_is_of_an_age_that_goes_aboard_once_it_is_acknowledged() -> None:
    chance, now_ms = Random(1), time.time() * 1000
    assert all(UUID(edits.key(chance)).int >> 80 > now_ms for _ in range(2000))


def test_five_nodes_in_chaos_are_the_same_when_it_is_quiet(
    postgres_server: PostgresServer, migrated_template: str, memory: Path
) -> None:
    said = chaos.chaos(postgres_server, memory, Random(1), 4, f"five{next(_number)}")
    assert said == "all the same"


def test_nothing_is_lost_while_everybody_is_killed(
    postgres_server: PostgresServer, migrated_template: str, memory: Path
) -> None:
    nodes = Nodes(postgres_server, memory, f"loss{next(_number)}")
    try:
        for seed, found in loss.seeds(nodes, range(1, 3), 200):
            assert found.changes == 200
            wrong = (found.lost, found.twice, found.never_committed, found.wrong)
            assert wrong == (0, 0, 0, []), f"seed {seed}: {found}"
    finally:
        nodes.close()
