"""Collects what became of a run whose operator is gone: waits for its end, and says what it said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from require.catalog import Catalog
from require.errors import LinkLost
from require.planning import declares
from require.result import Progress, Result
from require.run import STATE_DIR, Session
from require.transport import Transport


def resume(
    transport: Transport,
    catalog: Catalog,
    run: str = "",
    *,
    host: str = "",
    progress: Progress | None = None,
    state_dir: str = STATE_DIR,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Wait for the end of a run, in one trip, and return its result.

    A link that breaks while it waits is tried again as by `require.run.converge`. Where the catalog
    is the one that the run applied, everything is looked at again, as at the end of a converge;
    where it is not, the steps alone are told.

    Args:
        transport, host, progress, state_dir, clock, sleep: as for `require.run.converge`.
        catalog: what the host's roles declare now.
        run: id of the run; "" is the host's last.

    Returns:
        The result of that run; one that is not known is an error. Without any run `run` is "".

    Raises:
        TransportError: the host could not be asked, or not be reached again.

    Example:
        >>> resume(LocalTransport(), catalog, "20261124T080000Z-1f2e3d4c").changes
        (Outcome(key='file:/etc/motd', status='changed', …),)
    """
    session = Session(transport, catalog, host, progress, "", state_dir, clock=clock, sleep=sleep)
    reply = _collected(session, run)
    told = reply["collected"]
    if told is None:
        if run:
            session.ledger.errors.append(f"there is no run {run} here, or it is too long ago")
        return session.result(check=False)
    session.run = told["run"]
    same = told["declares"] == declares(session.resources)
    session.ledger.known(session.resources, told["steps"], whole=same)
    if not same:
        session.ledger.notes.append(
            "the roles declare something else than that run applied, or it was a part of them or "
            "an undo, so nothing was looked at again: converge with check to see what differs now"
        )
    if not told["finished"]:
        session.cut_short(told)
    else:
        session.ended(told, reply["answers"] if same else None, again=True)
    return session.result(check=False)


def _collected(session: Session, run: str) -> Mapping[str, Any]:
    try:
        return session.collect(run)
    except LinkLost:
        reply = session.reach(run)
        if reply is None:
            raise
        return reply
