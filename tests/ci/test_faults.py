"""The crash tables on real hosts, of releases and of synchronisation a sample; and what runs them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path, PosixPath
from random import Random

import pytest

from ci.faults.case import Case, run, show
from ci.faults.enrol.stand import EnrolStand
from ci.faults.release import back, held, matrix
from ci.faults.sync import hosts
from ci.faults.sync import matrix as every_step
from ci.faults.sync.stand import Stand as SyncStand
from ci.faults.tables import TABLES
from ci.faults.under_test import UnderTest, stand
from ci.faults.way import Way
from ci.story.teller import NotSo
from fleet.aboard.steps import Step

# Two runs on one machine must not meet, nor this lab the story's of the same run.
NAME = f"flt{os.getpid() % 10**4}"


# Each fault of the matrix once, at a step that its name chooses, and of the other rows those that do not
# take half a minute and more, which `inv faults` has.
CELLS = {**matrix.CELLS, **back.CELLS}
LONG = ("health flaps", "ill", "starts and dies", "a bit changed on the wire")
RELEASE = [
    *(Random(fault).choice(cells) for fault, cells in CELLS.items()),
    *(
        case
        for case in TABLES["release"].cases
        if case.name not in LONG and not any(case in cells for cells in CELLS.values())
    ),
]
# Of synchronisation each fault once; the seeds of chaos are in the quick tests.
SYNC = [Random(fault).choice(cells) for fault, cells in {**every_step.CELLS, **hosts.CELLS}.items()]


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest) -> Iterator[UnderTest]:
    """One lab at a time: pytest takes the one down before it asks for the other."""
    with stand(NAME, TABLES[request.param].stand) as made:
        yield made


def once(host: UnderTest, case: Case[UnderTest]) -> None:
    try:
        case.act(host, Random(1))
    except Exception:
        host.mend()  # or the rows after it would not hold either
        raise


@pytest.mark.hosts
@pytest.mark.parametrize("host", ["converge"], indirect=True)
@pytest.mark.parametrize("case", TABLES["converge"].cases, ids=lambda case: case.name)
def test_a_converge_ends_well(host: UnderTest, case: Case[UnderTest]) -> None:
    once(host, case)


@pytest.mark.hosts
@pytest.mark.parametrize("host", ["release"], indirect=True)
@pytest.mark.parametrize("case", RELEASE, ids=lambda case: case.name)
def test_a_release_ends_well(host: UnderTest, case: Case[UnderTest]) -> None:
    once(host, case)


@pytest.mark.hosts
@pytest.mark.parametrize("host", ["enrol"], indirect=True)
@pytest.mark.parametrize("case", TABLES["enrol"].cases, ids=lambda case: case.name)
def test_first_contact_ends_well(host: EnrolStand, case: Case[EnrolStand]) -> None:
    case.act(host, Random(1))


@pytest.mark.hosts
@pytest.mark.parametrize("host", ["sync"], indirect=True)
@pytest.mark.parametrize("case", SYNC, ids=lambda case: case.name)
def test_a_synchronisation_ends_well(host: SyncStand, case: Case[SyncStand]) -> None:
    try:
        # Its own chance: what a row makes is still there when the next one begins.
        case.act(host, Random(case.name))
    except Exception:
        host.mend()
        raise


def silent(_: object) -> None:
    pass


def table(*acts: str | Exception) -> tuple[list[Case[list[int]]], list[int]]:
    """A table of rows that end so, and what they act on: it counts how often it was mended."""

    def case(number: int, end: str | Exception) -> Case[list[int]]:
        def act(stand: list[int], chance: Random) -> str:
            if isinstance(end, Exception):
                raise end
            return end

        return Case(f"row {number}", "nothing", "anything", act, seeds=number == 0)

    return [case(*each) for each in enumerate(acts)], [0]


def mend(stand: list[int]) -> None:
    stand[0] += 1


def test_a_row_without_chance_runs_once_and_the_others_with_every_seed() -> None:
    cases, stand = table("held", "held")
    assert [row.seeds for row in run(cases, stand, 3, silent, mend)] == [3, 1]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_row_that_does_not_hold_is_told_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    cases, stand = table(NotSo("half a file"), ValueError("odd"), "held")
    said: list[str] = []
    rows = run(cases, stand, 2, said.append, mend)
    assert [row.holds for row in rows] == [False, False, True]
    assert stand == [3], "the stand is made good again after each"
    assert not show(rows, as_json)
    assert "half a file" in capsys.readouterr().out
    assert any("Traceback" in line for line in said), "what nobody foresaw says where it happened"


class Brief(PosixPath):
    """A file that is removed as soon as anybody has looked."""

    def exists(self) -> bool:
        there = super().exists()
        self.unlink(missing_ok=True)
        return there

    def read_text(self, *args: str | None) -> str:
        text = super().read_text(*args)
        self.unlink()
        return text


def test_what_is_held_at_a_step_goes_on_whenever_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "HOLD", Brief(tmp_path / "hold"))
    held.HOLD.write_text(Step.RETURN_SWITCH.label)
    held.at(Step.RETURN_SWITCH)
    assert not list(tmp_path.iterdir()), "it was held"


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets."""

    def serve() -> None:
        with server, server.accept()[0] as line:
            try:
                while piece := line.recv(65536):
                    line.sendall(piece)
            except ConnectionError:
                pass

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()
    thread.join()


def test_a_way_is_cut_after_so_many_bytes(echo: tuple[str, int]) -> None:
    with Way(echo) as way, socket.create_connection(("127.0.0.1", way.port), timeout=5) as line:
        way.at_up(10, way.cut)
        line.sendall(b"x" * 100)
        with pytest.raises(ConnectionError):
            while line.recv(100):
                pass
        assert way.up == 10
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", way.port), timeout=5)


def test_a_way_that_is_silent_says_nothing_to_either_end(echo: tuple[str, int]) -> None:
    with Way(echo) as way, socket.create_connection(("127.0.0.1", way.port), timeout=5) as line:
        line.sendall(b"one")
        assert line.recv(3) == b"one"
        way.silence()
        line.sendall(b"two")
        line.settimeout(0.1)
        with pytest.raises(TimeoutError):
            line.recv(3)
