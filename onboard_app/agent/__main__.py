"""The agent: `python -m onboard_app.agent run` as a service, `… sync-now` as a command."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from common.clock import utc_now
from common.database import engine_for
from common.logging import configure
from common.settings import Settings, SettingsError
from common.watchdog import Watchdog
from onboard_app.agent import beat
from onboard_app.agent.certificate import Certificates
from onboard_app.agent.hangar import Hangar
from onboard_app.agent.housekeeping import keep_house
from onboard_app.agent.loop import Agent
from onboard_app.agent.running import Runner, locked
from onboard_app.agent.sync_now import FAILED, sync_now
from onboard_app.avionics.store import RedisStore
from sync import ack, backfill, overtake, retention, session
from sync.onlooker import Onlooker
from sync.shown import Windows

log = logging.getLogger("onboard_app.agent")

WRONG_USAGE = 64
# A beat waits for the database and for a slow link; a synchronisation has a thread of its own.
ALIVE_WITHIN_S = 180.0


def serve(settings: Settings) -> int:
    """Beats until it is told to stop."""
    engine, store = engine_for(settings), RedisStore(settings.redis_url)
    wake, stop = threading.Event(), threading.Event()
    # The hangar should hear at once that something was pushed.
    runner = Runner(partial(session.run, settings, engine, partial(log.info, "%s")), ended=wake.set)
    certificates = Certificates(settings)

    def body() -> dict[str, Any]:
        now, syncing = utc_now(), locked(session.lock_path(settings))
        return beat.body(settings, engine, store, syncing, now) | certificates.told(now)

    agent = Agent(
        Hangar(settings.hangar_url),
        body,
        partial(ack.accept, engine, settings),
        runner,
        partial(overtake.ask, settings),
        answer=partial(backfill.answer, engine, settings),
        heal=partial(ack.heal, engine, settings),
        rows=partial(overtake.ask_rows, settings),
    )

    def end(*_: object) -> None:
        stop.set()
        wake.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    make_room = partial(retention.make_room, engine, settings)
    # A daemon: what it does is whole at each commit, and a table takes its time to be made smaller.
    threading.Thread(target=keep_house, args=(make_room, stop), name="house", daemon=True).start()
    log.info("%s beats to %s", settings.node, settings.hangar_url)
    watchdog, windows = Watchdog(ALIVE_WITHIN_S), Windows(settings)

    def alive() -> None:
        watchdog.feed()
        # A newspaper ends in the air too.
        windows.turn()

    agent.run(wake, stop, alive)
    return 0


def synchronise(settings: Settings) -> int:
    """Synchronises once and tells it on standard output."""
    engine = engine_for(settings)
    run = partial(session.run, settings, engine)

    def write(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    look = Onlooker(settings, engine).look
    return sync_now(run, write, time.monotonic, time.sleep, look)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m onboard_app.agent")
    parser.add_argument("what", choices=("run", "sync-now"))
    try:
        what = parser.parse_args(arguments).what
    except SystemExit as wrong:
        return WRONG_USAGE if wrong.code else 0
    configure()
    try:
        settings = Settings.load()
    except SettingsError as error:
        log.error("%s", error)
        if what == "sync-now":
            problem = {"code": "settings", "message": str(error)}
            sys.stdout.write(json.dumps({"result": None, "error": problem}) + "\n")
        return FAILED
    return serve(settings) if what == "run" else synchronise(settings)


if __name__ == "__main__":
    sys.exit(main())
