"""Samples of what takes long: some steps met by some faults, a seed of chaos, some of the loss harness."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from ci.faults.sync import edits, loss, matrix
from ci.faults.sync.chaos import chaos
from ci.faults.sync.nodes import Nodes
from ci.faults.sync.stand import Ends, Stand
from tests.conftest import PostgresServer

pytestmark = pytest.mark.postgres

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


def test_no_key_is_of_an_age_that_goes_aboard_once_it_is_acknowledged() -> None:
    chance, now_ms = Random(1), time.time() * 1000
    assert all(UUID(edits.key(chance)).int >> 80 > now_ms for _ in range(2000))


def test_five_nodes_in_chaos_are_the_same_when_it_is_quiet(
    postgres_server: PostgresServer, migrated_template: str, memory: Path
) -> None:
    assert chaos(postgres_server, memory, Random(1), 4, f"five{next(_number)}") == "all the same"


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
