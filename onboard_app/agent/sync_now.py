"""`sync-now`: one synchronisation as a command; its progress as JSON lines, its result as the last.

    {"progress": "pushed 2 change-sets, 1834 bytes"}
    {"progress": "film Night 34 MB of 200 MB, 1.2 MB/s, 2 min left", "seen": {"files": 3, …}}
    {"result": {"applied_rows": 12, …}}

`seen` is `sync.onlooker.Seen`: what waits, what moves and what comes next, every few seconds.

When it fails the last line is {"result": null, "error": {"code": …, "message": …}}.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from onboard_app.agent.watching import Look, watched
from sync.onlooker import Seen
from sync.rsync import LinkLost, Refused, TransferError
from sync.session import Busy, Report

DONE, OUT_OF_REACH, FAILED = 0, 3, 4
ASK_AGAIN_S = 1.0
WAIT_AT_MOST_S = 1800.0

Progress = Callable[[str], None]

log = logging.getLogger(__name__)


class Lines:
    """Writes JSON lines; whoever read them may have gone, which is no reason to stop."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write: Callable[[str], object] | None = write
        self._lock = threading.Lock()

    def say(self, **told: Any) -> None:
        """Writes one line; may be called from any thread."""
        with self._lock:
            if self._write is None:
                return
            try:
                self._write(json.dumps(told) + "\n")
            except OSError:
                self._write = None

    def progress(self, line: str) -> None:
        """Writes a step."""
        self.say(progress=line)

    def seen(self, seen: Seen) -> None:
        """Writes how it goes."""
        self.say(progress=seen.words(), seen=asdict(seen))


def sync_now(
    run: Callable[[Progress], Report],
    write: Callable[[str], object],
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    look: Look | None = None,
) -> int:
    """Synchronises and returns the exit code: 0 done, 3 the hangar is out of reach, 4 failed.

    One that is running already is waited for, and then this one runs all the same: rows written
    since the other began are sent too. It costs two round trips when there are none.

    Args:
        run: one whole synchronisation, told where its progress goes.
        write: takes a line of text.
        clock: seconds, monotonic.
        sleep: waits that many seconds.
        look: looks at how it goes; None tells nothing of it.
    """
    lines = Lines(write)
    try:
        with watched(look, lines.seen) if look else nullcontext():
            report = _when_free(run, lines, clock, sleep)
    except LinkLost as error:
        return _failed(lines, OUT_OF_REACH, "out_of_reach", error)
    except Refused as error:
        return _failed(lines, FAILED, "refused", error)
    except Busy as error:
        return _failed(lines, FAILED, "busy", error)
    except TransferError as error:
        return _failed(lines, FAILED, "transfer", error)
    except SQLAlchemyError as error:
        return _failed(lines, FAILED, "database", error)
    except OSError as error:
        return _failed(lines, FAILED, "system", error)
    except Exception as error:  # whoever called waits for the last line, whatever happened
        log.error("the synchronisation broke off", exc_info=error)
        return _failed(lines, FAILED, "internal", f"{type(error).__name__}: {error}")
    result = asdict(report)
    if report.problems:
        problem = {"code": "incomplete", "message": "; ".join(report.problems)}
        lines.say(result=result, error=problem)
        return FAILED
    lines.say(result=result)
    return DONE


def _when_free(
    run: Callable[[Progress], Report],
    lines: Lines,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Report:
    began, told = clock(), False
    while True:
        try:
            return run(lines.progress)
        except Busy as error:
            if clock() - began > WAIT_AT_MOST_S:
                raise
            if not told:
                lines.progress(f"waiting: {error}")
                told = True
            sleep(ASK_AGAIN_S)


def _failed(lines: Lines, status: int, code: str, error: object) -> int:
    lines.say(result=None, error={"code": code, "message": str(error)[:2000]})
    return status
