"""Looking after the disk while nobody synchronises: an aircraft may be out of reach for weeks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

EVERY_S = 600.0

log = logging.getLogger(__name__)


def keep_house(
    make_room: Callable[[], object], stop: threading.Event, every_s: float = EVERY_S
) -> None:
    """Keeps house now and then until it is told to stop.

    Args:
        make_room: removes what may go when there is too little; may raise.
        stop: set when it is over.
        every_s: seconds between two looks.
    """
    while not stop.wait(every_s):
        try:
            make_room()
        except Exception as error:  # a database that is away comes back
            log.error("could not look after the disk: %s", error)
