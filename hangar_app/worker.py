"""The hangar's workers: Celery tasks that claim a row of `work` and call the function that does it.

    python -m celery -A hangar_app.worker worker -Q media -n media@hangar --concurrency 1

One queue and one worker per kind of task, so that a film being packaged never keeps an aircraft
waiting. Dispatch, converge and campaign run in threads, because all that they do is wait: the time
limits here do not reach a thread, but each has its own deadline. The others run in processes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import Celery, bootsteps
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import task_failure, worker_process_init
from kombu.exceptions import OperationalError

from common.settings import Settings
from hangar_app import campaigning, converging, performing, work
from hangar_app.performing import Performer, Tools
from hangar_app.work import Kind

log = logging.getLogger(__name__)

PREFIX = "hangar."  # of a task's name; the rest is its kind
SOCKET_S = 5
LOOK_EVERY_S = 15
WAITED_S = 10  # what waits for less is most likely about to be taken


def configuration() -> dict[str, Any]:
    """Celery's settings, read when it is first used and not when it is imported."""
    settings = Settings.load()
    return {
        "broker_url": settings.redis_url,
        "broker_connection_retry_on_startup": True,
        # Said explicitly: the client's own default cuts blocking reads after 5 s. A message is
        # never lost by a time-out here, because the row of `work` is the truth.
        "broker_transport_options": {
            "socket_timeout": 30,
            "socket_connect_timeout": SOCKET_S,
            "socket_keepalive": True,
            "retry_on_timeout": True,
            "health_check_interval": 25,
            "visibility_timeout": 6 * 3600,
            # How long a request waits for a broker that is down: one more try, at once.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
        },
        "task_ignore_result": True,
        "task_default_queue": "sync",
        "task_serializer": "json",
        "accept_content": ["json"],
        # A worker takes the next message only when it is free: nothing waits behind a film.
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "task_soft_time_limit": 5 * 3600,
        "task_time_limit": 5 * 3600 + 60,
        "enable_utc": True,
    }


app = Celery("hangar_app")
app.add_defaults(configuration)

_tools: list[Tools] = []


def tools() -> Tools:
    """This process's database and settings, made at first use: never shared across a fork.

    Threads share them: an engine may be, and each takes a session of its own from it.
    """
    if not _tools:
        _tools.append(performing.tools_for(Settings.load(), enqueue))
    return _tools[0]


def _fresh(**_: Any) -> None:
    _tools.clear()


worker_process_init.connect(_fresh)


class TakingUp(bootsteps.StartStopStep):  # type: ignore[misc, unused-ignore]
    """Settles what the former worker of these queues left, then looks now and then for what waits.

    It stands behind Celery's own steps and before its loop, so nothing was taken yet at `begin`. When
    the broker is lost and found again the steps stop and start, and what runs meanwhile runs on.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **more: Any) -> None:
        super().__init__(consumer, **more)
        self.begun = False
        self.look: Any = None

    def start(self, consumer: Any) -> None:
        queues = consumer.app.amqp.queues.consume_from
        kinds = [kind for kind in work.KINDS.values() if kind.queue in queues]
        if not self.begun:
            performing.begin(tools(), kinds)
            if work.CAMPAIGN in kinds:
                campaigning.begin(tools())
            self.begun = True
        self.look = consumer.timer.call_repeatedly(LOOK_EVERY_S, _take_up, (kinds,))

    def stop(self, consumer: Any) -> None:
        if self.look:
            self.look.cancel()


def _take_up(kinds: list[Kind]) -> None:
    performing.take_up(tools(), kinds, WAITED_S)


app.steps["consumer"].add(TakingUp)


def _lose(sender: Any, exception: BaseException, args: Sequence[str], **_: Any) -> None:
    """Ends the row of a process that died or was cut, which could not do so itself."""
    if isinstance(exception, WorkerLostError | TimeLimitExceeded):
        performing.lose(tools(), work.KINDS[sender.name.removeprefix(PREFIX)], UUID(args[0]))


task_failure.connect(_lose)


def _task(kind: Kind, performer: Performer) -> Any:
    def run(id: str) -> None:
        performing.perform(tools(), UUID(id), performer)

    run.__doc__ = performer.__doc__
    return app.task(name=f"{PREFIX}{kind.name}")(run)


TASKS = {
    kind.name: _task(kind, performer)
    for kind, performer in (
        (work.DISPATCH, performing.dispatch),
        (work.INGEST, performing.ingest),
        (work.PUBLISH, performing.publish_catalogue),
        (work.MEDIA, performing.media),
        (work.CONVERGE, converging.converge),
        (work.CAMPAIGN, campaigning.campaign),
    )
}


def enqueue(job: work.Job) -> None:
    """Wakes a worker for a row of `work`.

    A broker that does not answer costs a warning, not the request: the row waits, and the workers
    look for what waits; what an aircraft is due is started anew by its next heartbeat as well.
    """
    try:
        TASKS[job.kind.name].apply_async(args=[str(job.id)], queue=job.kind.queue, retry=False)
    except OperationalError as error:
        log.warning("work %s (%s) is not queued: %s", job.id, job.kind.name, error)
