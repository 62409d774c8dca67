"""The hangar's workers: Celery tasks that claim a row of `work` and call the function that does it.

    python -m celery -A hangar_app.worker worker -Q dispatch,sync,media

One queue per kind of task, so that a film being packaged never keeps an aircraft waiting.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from kombu.exceptions import OperationalError

from common.settings import Settings
from hangar_app import performing, work
from hangar_app.performing import Performer, Tools
from hangar_app.work import Kind

log = logging.getLogger(__name__)

SOCKET_S = 5


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
    """This process's database and settings, made at first use: never shared across a fork."""
    if not _tools:
        _tools.append(performing.tools_for(Settings.load(), enqueue))
    return _tools[0]


def _fresh(**_: Any) -> None:
    _tools.clear()


worker_process_init.connect(_fresh)


def _take_up(**_: Any) -> None:
    performing.take_up(tools())


worker_ready.connect(_take_up)


def _task(kind: Kind, performer: Performer) -> Any:
    def run(id: str) -> None:
        performing.perform(tools(), UUID(id), performer)

    run.__doc__ = performer.__doc__
    return app.task(name=f"hangar.{kind.name}")(run)


TASKS = {
    kind.name: _task(kind, performer)
    for kind, performer in (
        (work.DISPATCH, performing.dispatch),
        (work.INGEST, performing.ingest),
        (work.PUBLISH, performing.publish_catalogue),
        (work.MEDIA, performing.media),
    )
}


def enqueue(job: work.Job) -> None:
    """Wakes a worker for a row of `work`.

    A broker that does not answer costs a warning, not the request: the row waits, and a worker that
    starts takes what waits; what an aircraft is due is started anew by its next heartbeat as well.
    """
    try:
        TASKS[job.kind.name].apply_async(args=[str(job.id)], queue=job.kind.queue, retry=False)
    except OperationalError as error:
        log.warning("work %s (%s) is not queued: %s", job.id, job.kind.name, error)
