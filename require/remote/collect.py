"""What became of a run: waits for its end where it still goes on, then looks at everything."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from require.remote import journal, lock, look, wire

SIGN_S = 5.0
_LOOK_S = 0.2


def main(
    request: dict[str, Any],
    out: Any,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Answer one request to collect a run: with progress while it goes on, and with its end.

    Args:
        request: as for `look.main`, and "run", the run's id; "" is the newest run; "begin_s",
            seconds that it may take to begin: its request may have arrived just now.
        out: binary file for the frames.
        clock, sleep: seconds.

    Raises:
        BrokenPipeError: nobody listens any more; at least every `SIGN_S` that is noticed.
    """
    runs = f"{request['state_dir']}/runs"
    run = request["run"] or _newest(runs)
    out.write(wire.MAGIC)
    began = said_at = clock()
    said: dict[str, Any] = {}
    while True:
        told = journal.told(runs, run)
        goes_on = told["running"] if told else (lock.holder(runs) or {}).get("run") == run
        late = told is None and clock() - began < request["begin_s"]
        if not goes_on and not late:
            break
        place = _place(told)
        if place != said or clock() - said_at >= SIGN_S:
            out.write(wire.frame(b"P", place))
            out.flush()
            said, said_at = place, clock()
        sleep(_LOOK_S)
    out.write(wire.frame(b"R", look.seen(request) | {"collected": told}))
    out.flush()


def _newest(runs: str) -> str:
    try:
        return journal.newest(runs)
    except FileNotFoundError:
        return ""


def _place(told: dict[str, Any] | None) -> dict[str, Any]:
    if told is None:
        return {"stage": "apply"}
    done, total = len(told["results"]), len(told["steps"])
    if done == total:
        return {"stage": "handlers"}
    return {"stage": "apply", "key": told["now"], "done": done, "total": total}
