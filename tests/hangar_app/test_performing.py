"""Work is claimed once, done, and its row says how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from common.schema import Aircraft, Heartbeat, Work
from common.settings import Settings
from common.uuid7 import uuid7
from hangar_app import performing, work, worker
from hangar_app.dispatch import Ended
from hangar_app.performing import Tools, WorkFailed
from sync.apply import Outcome

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings that Celery reads at its first use: a broker that nobody runs."""
    monkeypatch.setenv("TURNAROUND_NODE", "hangar")
    monkeypatch.setenv("TURNAROUND_ROLE", "hangar")
    monkeypatch.setenv("TURNAROUND_REDIS_URL", "redis://127.0.0.1:1/0")
    Settings.load.cache_clear()
    yield
    Settings.load.cache_clear()


class Clock:
    """Moves on by three seconds whenever it is read."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=3)
        return self.now


@pytest.fixture
def tools(engine, settings, queue, clock) -> Tools:
    return Tools(settings, engine, queue, Clock(clock()))


@pytest.fixture
def queued(engine, clock) -> Any:
    """Writes a queued row for EC-TAA and gives its id."""

    def start(kind: work.Kind) -> UUID:
        with Session(engine) as session:
            if session.get(Aircraft, "EC-TAA") is None:
                session.add(Aircraft(name="EC-TAA", tower="10.100.64.11"))
                session.flush()
            (job,) = work.start(session, [kind], clock(), "EC-TAA")
            session.commit()
            return job.id

    return start


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


def test_celery_s_tasks_do_the_work(tools, queued, monkeypatch) -> None:
    """Called eagerly: the message holds the row's id and nothing else."""
    monkeypatch.setattr(worker, "_tools", [tools])
    called: list[tuple] = []
    monkeypatch.setattr(
        performing.hangar, "ingest", lambda *args: called.append(args) or Outcome(rows=3)
    )
    id = queued(work.INGEST)
    worker.TASKS["ingest"].apply(args=[str(id)], throw=True)
    assert called == [(tools.engine, tools.settings, "EC-TAA")]
    assert row(tools, id).state == "done"


def test_a_broker_that_is_down_does_not_stop_a_request(caplog) -> None:
    worker.enqueue(work.Job(uuid7(), work.DISPATCH))
    assert "is not queued" in caplog.text


def test_each_kind_of_work_has_its_queue_and_its_task() -> None:
    assert {kind.queue for kind in work.KINDS.values()} == {"dispatch", "sync", "media"}
    assert set(worker.TASKS) == set(work.KINDS)


def test_a_worker_that_starts_takes_up_what_waits_and_writes_the_manifest(
    tools: Tools, queued, queue
) -> None:
    left = queued(work.INGEST)
    queue.jobs.clear()
    performing.take_up(tools)
    assert left in {job.id for job in queue.jobs}
    assert work.PUBLISH in {job.kind for job in queue.jobs}
