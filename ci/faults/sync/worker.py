"""A worker: does one piece of synchronisation after the other, each in a child of its own that may die.

`python -m ci.faults.sync.worker` reads orders from standard input, one a line. For each it says the
child's process id, and at its end what became of it. A child costs some ten milliseconds: all that it needs
was imported once, and nobody here has a thread that a fork would lose.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from unittest.mock import patch

from sqlalchemy import Engine

import sync.hangar
from ci.faults.sync.hindrance import CLOCK, Hindrance
from ci.faults.sync.order import Ended, Order
from common.clock import utc_now
from common.database import engine_for
from common.settings import Settings
from sync import ack, apply, files, publish, rsync, seal, session, users


def done(
    order: Order, engine: Engine, settings: Settings, at: Callable[[str, str], None]
) -> list[str]:
    """Does it, and returns what it found wrong."""
    at_seal, at_apply = partial(at, "seal"), partial(at, "apply")
    with (
        patch.object(seal, "seal_all", partial(seal.seal_all, at=at_seal)),
        patch.object(session, "apply_all", partial(apply.apply_all, at=at_apply)),
        patch.object(sync.hangar, "apply_all", partial(apply.apply_all, at=at_apply)),
    ):
        if order.do == "seal":
            seal.seal_all(engine, settings)
            return []
        if order.do == "apply":
            found = apply.apply_all(
                engine, settings, order.peer, folds=users.folds(utc_now), at=at_apply
            )
            return found.problems
        if order.do in ("push", "session"):
            link = rsync.Link("hangar", order.link) if order.link else rsync.link_for(settings)
            if order.do == "session":
                return session.run(settings, engine, link=link).problems
            outbox = files.outbox(settings)
            return [link.push(outbox).problem] if outbox.is_dir() else []
        if order.do == "ingest":
            return sync.hangar.ingest(engine, settings, order.peer).problems
        if order.do == "publish":
            return publish.publish(engine, settings)
        if order.do == "accept":
            return ack.accept(engine, settings, order.acks)
    raise ValueError(f"expected something to do, found {order.do!r}")


def child(order: Order) -> Ended:
    """Does the order with its fault; returns only when that did not kill it."""
    settings = Settings(**order.settings) if order.settings else Settings.load()
    engine = engine_for(settings)
    hindrance = Hindrance(order, settings)
    try:
        with hindrance.watching():
            problems = done(order, engine, settings, hindrance.told)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        if not isinstance(error, rsync.TransferError | session.Busy):
            said += " " + traceback.format_exc().replace("\n", " | ")
        return Ended(error=said, met=hindrance.met)
    return Ended(tuple(problems), met=hindrance.met)


def serve() -> None:
    """Takes orders until nobody gives any."""
    if CLOCK in os.environ:
        # Python sleeps until a time of the monotonic clock, and libfaketime 0.9.10 spoils that: EINVAL.
        patch.object(time, "sleep", _sleep).start()
    for line in sys.stdin:
        order = Order.of(line)
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            os.close(reading)
            os.setpgid(0, 0)
            said = json.dumps(asdict(child(order)))
            os.write(writing, said.encode())
            os._exit(0)
        os.close(writing)
        _say({"process": process})
        with open(reading) as pipe:
            text = pipe.read()
        _, status = os.waitpid(process, 0)
        ended = Ended(**json.loads(text)) if text else Ended(met=bool(order.fault))
        _say(asdict(replace(ended, killed=os.WIFSIGNALED(status))))


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
