"""A worker serves one queue: it settles what its predecessor left, and looks for what waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from sqlalchemy import select

from common.schema import Work
from common.settings import Settings
from common.uuid7 import uuid7
from hangar_app import performing, work, worker
from hangar_app.media import job
from hangar_app.performing import Tools
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


@pytest.fixture
def in_process(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """The tools that this process's tasks find."""
    monkeypatch.setattr(worker, "_tools", [tools])
    return tools


def row(tools: Tools, id: UUID) -> Work:
    with tools.session() as session:
        return session.get(Work, id)


def claimed(tools: Tools, id: UUID) -> UUID:
    """Takes a row, as a worker does that is killed a moment later."""
    with tools.session() as session:
        assert work.claim(session, id, tools.clock())
        session.commit()
    return id


def upload(tools: Tools, id: UUID) -> Path:
    """The uploaded file of an import."""
    file = job.folder(tools.settings.state_dir, id) / job.UPLOAD
    file.parent.mkdir(parents=True)
    file.write_bytes(b"%PDF-")
    return file


def test_celery_s_tasks_do_the_work(in_process: Tools, queued, monkeypatch) -> None:
    """Called eagerly: the message holds the row's id and nothing else."""
    called: list[tuple] = []
    monkeypatch.setattr(
        performing.hangar, "ingest", lambda *args: called.append(args) or Outcome(rows=3)
    )
    id = queued(work.INGEST)
    worker.TASKS["ingest"].apply(args=[str(id)], throw=True)
    assert called == [(in_process.engine, in_process.settings, "EC-TAA")]
    assert row(in_process, id).state == "done"


def test_a_broker_that_is_down_does_not_stop_a_request(caplog) -> None:
    worker.enqueue(work.Job(uuid7(), work.DISPATCH))
    assert "is not queued" in caplog.text


def test_each_kind_of_work_has_a_queue_of_its_own_and_its_task() -> None:
    assert len({kind.queue for kind in work.KINDS.values()}) == len(work.KINDS)
    assert set(worker.TASKS) == set(work.KINDS)


def full(*_: object) -> dict[str, Any]:
    raise performing.WorkFailed("No space left on device")


class TestBeginning:
    """Before its first message."""

    def test_wakes_what_waits_in_its_own_queue(self, tools, queued, queue) -> None:
        left, _ = queued(work.INGEST), queued(work.DISPATCH)
        performing.begin(tools, [work.INGEST])
        assert [job.id for job in queue.jobs] == [left]

    def test_the_worker_that_publishes_writes_the_manifest(self, tools, session, queue) -> None:
        performing.begin(tools, [work.MEDIA])
        assert session.scalars(select(Work)).all() == []
        performing.begin(tools, [work.PUBLISH])
        assert queue.kinds == ["publish"]

    def test_what_ran_when_its_predecessor_stopped_failed(self, tools, queued, clock) -> None:
        lost = claimed(tools, queued(work.DISPATCH))
        performing.begin(tools, [work.DISPATCH])
        assert (row(tools, lost).state, row(tools, lost).reason) == ("failed", work.WORKER_LOST)
        clock.advance(seconds=work.DISPATCH.rest_s + 60)
        assert queued(work.DISPATCH)  # the aircraft can be called again

    def test_what_another_queue_s_worker_does_goes_on(self, tools, queued) -> None:
        busy = claimed(tools, queued(work.INGEST))
        performing.begin(tools, [work.DISPATCH, work.PUBLISH, work.MEDIA])
        assert row(tools, busy).state == "running"

    def test_an_import_that_was_cut_is_done_again(self, tools, queued, queue) -> None:
        id = queued(work.MEDIA)
        file = upload(tools, id)
        claimed(tools, id)
        performing.begin(tools, [work.MEDIA])
        assert (row(tools, id).state, row(tools, id).started_at) == ("queued", None)
        assert [job.id for job in queue.jobs] == [id]
        assert file.exists()

    def test_an_import_whose_upload_is_gone_failed(self, tools, queued, queue) -> None:
        id = claimed(tools, queued(work.MEDIA))
        performing.begin(tools, [work.MEDIA])
        assert (row(tools, id).state, row(tools, id).reason) == ("failed", work.WORKER_LOST)
        assert queue.jobs == []

    def test_an_import_that_brings_its_worker_down_is_given_up(self, tools, queued) -> None:
        id = queued(work.MEDIA)
        file = upload(tools, id)
        states = []
        for _ in range(performing.TRIES):
            claimed(tools, id)
            performing.begin(tools, [work.MEDIA])
            states.append(row(tools, id).state)
        assert states == ["queued", "queued", "failed"]
        assert not file.parent.exists()


class TestLooking:
    """Now and then: a broker that was away when a row was written has no message for it."""

    @pytest.mark.parametrize("kind", [work.PUBLISH, work.MEDIA])
    def test_wakes_what_was_never_woken(self, tools, queued, queue, kind) -> None:
        id = queued(kind)
        tools.clock.now += timedelta(seconds=20)
        performing.take_up(tools, [kind], waited_s=10)
        assert [job.id for job in queue.jobs] == [id]

    def test_leaves_what_was_written_a_moment_ago(self, tools, queued, queue) -> None:
        queued(work.PUBLISH)
        performing.take_up(tools, [work.PUBLISH], waited_s=10)
        assert queue.jobs == []

    def test_sends_no_message_after_message_behind_a_film(self, tools, session, queue) -> None:
        first, second = (
            work.add(session, work.MEDIA, tools.clock(), uuid7(), {}).id for _ in range(2)
        )
        session.commit()
        claimed(tools, first)
        performing.take_up(tools, [work.MEDIA])
        assert queue.jobs == []
        work.finish(session, first, tools.clock())
        session.commit()
        performing.take_up(tools, [work.MEDIA])
        assert [job.id for job in queue.jobs] == [second]

    def test_publishes_again_after_a_while_what_could_not_be(self, tools, queued, queue) -> None:
        first = queued(work.PUBLISH)
        performing.perform(tools, first, full)
        assert row(tools, first).reason == "No space left on device"
        performing.take_up(tools, [work.PUBLISH])
        assert queue.jobs == [], "not at once"
        tools.clock.now += timedelta(seconds=work.PUBLISH.again_s)
        performing.take_up(tools, [work.MEDIA])
        assert queue.jobs == [], "that is not what it does"
        performing.take_up(tools, [work.PUBLISH], waited_s=10)
        assert [job.id for job in queue.jobs] == [first]
        performing.perform(tools, first, lambda *_: {})
        done = row(tools, first)
        assert (done.state, done.reason) == ("done", "")
        tools.clock.now += timedelta(seconds=work.PUBLISH.again_s)
        performing.take_up(tools, [work.PUBLISH])
        assert len(queue.jobs) == 1

    def test_leaves_what_failed_where_it_went_well_since(self, tools, queued, queue) -> None:
        first = queued(work.PUBLISH)
        performing.perform(tools, first, full)
        with tools.session() as session:
            work.add(session, work.PUBLISH, tools.clock(), last := uuid7(), {})
            session.commit()
        performing.perform(tools, last, lambda *_: {})
        tools.clock.now += timedelta(seconds=work.PUBLISH.again_s)
        performing.take_up(tools, [work.PUBLISH])
        assert queue.jobs == []

    def test_leaves_to_heartbeats_what_failed_of_an_aircraft(self, tools, queued, queue) -> None:
        performing.perform(tools, queued(work.INGEST), full)
        tools.clock.now += timedelta(hours=1)
        performing.take_up(tools, [work.INGEST])
        assert queue.jobs == []


@dataclass
class Timer:
    """Celery's timer: keeps what it was asked to call."""

    entries: list[Any] = field(default_factory=list)

    def call_repeatedly(self, seconds: float, call: Any, args: tuple) -> Any:
        entry = SimpleNamespace(call=lambda: call(*args), seconds=seconds, cancelled=False)
        entry.cancel = lambda: setattr(entry, "cancelled", True)
        self.entries.append(entry)
        return entry


def consumer(*queues: str) -> Any:
    """What Celery hands to a step of a worker that was started with `-Q queues`."""
    chosen = SimpleNamespace(queues=SimpleNamespace(consume_from=dict.fromkeys(queues)))
    return SimpleNamespace(app=SimpleNamespace(amqp=chosen), timer=Timer())


class TestInCelery:
    """The step that calls the above."""

    def test_is_one_of_the_steps_of_a_worker(self) -> None:
        assert worker.TakingUp in worker.app.steps["consumer"]

    def test_looks_for_the_kinds_of_its_queue(self, in_process, queued, queue) -> None:
        started = consumer("publish")
        worker.TakingUp(started).start(started)
        queue.jobs.clear()
        queued(work.INGEST)
        in_process.clock.now += timedelta(seconds=20)
        started.timer.entries[0].call()
        assert queue.kinds == ["publish"]

    def test_what_runs_while_the_broker_is_away_runs_on(self, in_process, queued) -> None:
        started = consumer("sync")
        step = worker.TakingUp(started)
        step.start(started)
        busy = claimed(in_process, queued(work.INGEST))
        step.stop(started)
        step.start(started)
        assert row(in_process, busy).state == "running"
        assert [entry.cancelled for entry in started.timer.entries] == [True, False]

    @pytest.mark.parametrize("error", [WorkerLostError("signal 11"), TimeLimitExceeded(18060)])
    def test_a_process_that_died_loses_its_own_row_only(self, in_process, queued, error) -> None:
        lost = claimed(in_process, queued(work.INGEST))
        other = claimed(in_process, queued(work.INGEST))
        worker.task_failure.send(sender=worker.TASKS["ingest"], exception=error, args=[str(lost)])
        assert (row(in_process, lost).reason, row(in_process, other).state) == (
            work.WORKER_LOST,
            "running",
        )

    def test_an_error_of_the_work_itself_is_no_lost_worker(self, in_process, queued) -> None:
        id = claimed(in_process, queued(work.INGEST))
        error = RuntimeError("its process writes this itself")
        worker.task_failure.send(sender=worker.TASKS["ingest"], exception=error, args=[str(id)])
        assert row(in_process, id).state == "running"
