"""A synchronisation beside the heartbeats: one thread at a time, and whether one runs at all."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from sync.session import Busy, Report

log = logging.getLogger(__name__)


class Runner:
    """Runs synchronisations in a thread of their own.

    Args:
        run: one whole synchronisation; it takes the lock itself.
        ended: called in that thread when it is over, however it ended.
    """

    def __init__(self, run: Callable[[], Report], ended: Callable[[], None]) -> None:
        self._run, self._ended = run, ended
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether one of ours is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Starts one; False when one is under way already."""
        if self.running:
            return False
        # A daemon: stopping the agent must not wait for a film. What arrived is kept.
        self._thread = threading.Thread(target=self._turn, name="sync", daemon=True)
        self._thread.start()
        return True

    def join(self, timeout_s: float | None = None) -> None:
        """Waits for the one under way."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _turn(self) -> None:
        try:
            report = self._run()
            log.info(
                "synchronised in %.1f s: %d rows up, %d rows and %d files down",
                report.seconds,
                report.sealed_rows,
                report.applied_rows,
                report.content_files,
            )
            for problem in report.problems:
                log.error("not everything was synchronised: %s", problem)
        except Busy as error:
            log.info("%s", error)
        except Exception as error:  # the heartbeats go on, and say that it is still due
            log.error("could not synchronise: %s", error)
        finally:
            self._ended()


def locked(path: Path) -> bool:
    """Whether somebody, in whatever process, holds the lock of a synchronisation.

    Looking takes the lock for an instant; `sync-now` tries again when it meets that.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
