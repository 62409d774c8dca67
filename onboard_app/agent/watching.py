"""Tells how a synchronisation goes while it runs, in a thread beside it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sync.onlooker import Seen

# A landing with little to move is over before the first, and costs the link nothing.
FIRST_S, EVERY_S = 1.0, 2.0
# Looking takes a twentieth of the time at most, however many files are missing.
SHARE = 20.0

log = logging.getLogger(__name__)

Look = Callable[[], Seen]


@contextmanager
def watched(look: Look, tell: Callable[[Seen], object]) -> Iterator[None]:
    """Looks now and then while the body runs, and tells what has changed.

    A look that fails ends the looking, and nothing else.

    Args:
        look: one look; may raise.
        tell: is told what was seen, unless it is the same as before; called in a thread of its own.
    """
    over = threading.Event()

    def go() -> None:
        last, wait_s = Seen(), FIRST_S
        while not over.wait(wait_s):
            began = time.monotonic()
            try:
                seen = look()
            except Exception as error:  # whoever looks on must not break what it looks at
                log.error("how the synchronisation goes is not told any more: %s", error)
                return
            wait_s = max(EVERY_S, SHARE * (time.monotonic() - began))
            if seen != last and not over.is_set():
                last = seen
                tell(seen)

    thread = threading.Thread(target=go, name="onlooker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
