"""Work is claimed once, done, and its row says how it ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest

from common.schema import Aircraft, Heartbeat, Work
from common.uuid7 import uuid7
from hangar_app import performing, work
from hangar_app.dispatch import Ended
from hangar_app.performing import Tools, WorkFailed

pytestmark = pytest.mark.postgres


def row(tools: Tools, id: UUID) -> Work:
    with tools.session() as session:
        return session.get(Work, id)


def test_a_call_that_went_well_leaves_its_result(tools, queued) -> None:
    def call(command, _deadline_s, line) -> Ended:
        assert command[-2:] == ["dispatch@10.100.64.11", "sync-now"]
        line('{"progress": "pushed 2 change-sets, 1834 bytes"}')
        line('{"result": {"applied_rows": 12}}')
        return Ended(0, "")

    id = queued(work.DISPATCH)
    performing.perform(Tools(**vars(tools) | {"call": call}), id, performing.dispatch)
    done = row(tools, id)
    assert (done.state, done.reason) == ("done", "")
    assert done.detail == {
        "progress": "pushed 2 change-sets, 1834 bytes",
        "result": {"applied_rows": 12},
    }
    assert done.queued_at <= done.started_at <= done.finished_at


def test_a_call_that_failed_says_why(tools, queued) -> None:
    def call(_command, _deadline_s, _line) -> Ended:
        return Ended(255, "ssh: connect to host 10.100.64.11 port 22: No route to host\n")

    id = queued(work.DISPATCH)
    performing.perform(Tools(**vars(tools) | {"call": call}), id, performing.dispatch)
    failed = row(tools, id)
    assert failed.state == "failed"
    assert "EC-TAA" in failed.reason and "No route to host" in failed.reason


def test_more_calls_wait_for_ssh_at_once_than_there_are_connections(tools, session) -> None:
    """They are threads of one process, and share its engine."""
    session.add(Aircraft(name="EC-TAA", tower="10.100.64.11"))
    rows = [Work(aircraft="EC-TAA", kind="dispatch") for _ in range(24)]
    session.add_all(rows)
    session.commit()
    all_wait = Barrier(len(rows), timeout=20)

    def call(_command, _deadline_s, line) -> Ended:
        all_wait.wait()
        line('{"result": {}}')
        return Ended(0, "")

    calling = Tools(**vars(tools) | {"call": call})
    with ThreadPoolExecutor(len(rows)) as pool:
        for one in rows:
            pool.submit(performing.perform, calling, one.id, performing.dispatch)
    session.expire_all()
    assert {one.state for one in rows} == {"done"}


def test_a_retired_aircraft_is_not_called(tools, queued) -> None:
    id = queued(work.DISPATCH)
    with tools.session() as session:
        session.delete(session.get(Aircraft, "EC-TAA"))
        session.commit()
    performing.perform(tools, id, performing.dispatch)
    assert "not in the fleet" in row(tools, id).reason or "any more" in row(tools, id).reason


def test_a_second_message_for_the_same_row_does_nothing(tools, queued) -> None:
    id, times = queued(work.INGEST), []
    for _ in range(2):
        performing.perform(tools, id, lambda *_: times.append(1) or {})
    assert times == [1]
    performing.perform(tools, uuid7(), lambda *_: times.append(1) or {})
    assert times == [1]


def test_an_error_that_nobody_foresaw_is_in_the_row_and_goes_on(tools, queued) -> None:
    def broken(*_: object) -> dict[str, Any]:
        raise RuntimeError("out of paper")

    id = queued(work.INGEST)
    with pytest.raises(RuntimeError):
        performing.perform(tools, id, broken)
    assert (row(tools, id).state, row(tools, id).reason) == ("failed", "RuntimeError: out of paper")


def test_a_foreseen_failure_keeps_its_detail(tools, queued) -> None:
    def refused(*_: object) -> dict[str, Any]:
        raise WorkFailed("no", {"files": 3})

    id = queued(work.INGEST)
    performing.perform(tools, id, refused)
    assert row(tools, id).detail == {"files": 3}


def test_what_is_long_past_is_forgotten(tools, queued, clock) -> None:
    id = queued(work.INGEST)
    performing.perform(tools, id, lambda *_: {})
    with tools.session() as session:
        session.add(Heartbeat(aircraft="EC-TAA", received_at=clock(), body={}))
        work.forget(session, clock() + timedelta(days=13))
        session.commit()
        assert session.get(Work, id) is not None
        work.forget(session, clock() + timedelta(days=15))
        session.commit()
        assert session.get(Work, id) is None
        assert session.query(Heartbeat).count() == 0
