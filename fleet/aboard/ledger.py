"""The audit log and the counters of a fleet, at its hangar: who did what, when, where to, how it ended.

One JSON object per line in /var/lib/turnaround/audit/audit.jsonl, only ever appended, and on the disk
before it is answered for. It needs no database and no release, so it is there before the first one and
after the last. A counter is `max(last + 1, seconds since 1970)`: a hangar that was built again, without
its log, issues none that is lower than those before.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from . import disk
from .errors import BadOrder
from .world import World

ORDER_LIMIT = 1 << 20
TARGETS_LIMIT = 5000
COUNTERS_LIMIT = 100
SHOWN_LIMIT = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LIMITS = {"who": 200, "what": 200, "kind": 64, "version": 100, "ended": 2000}
SAID_LIMIT = 150
"""Characters of how it ended on one host: those of a large fleet fit into one order."""


def issue(world: World, text: bytes) -> int:
    """Write down who is about to ship what to whom, and issue the counter of its envelope.

    Args:
        text: `{"who": "eva@desk", "what": "deploy", "kind": "onboard", "version": "2026…",
            "targets": ["EC-TAA"]}`, at most 1 MiB.

    Returns:
        A counter that is higher than all before; it is on the disk.

    Raises:
        BadOrder: the text is something else; nothing was written.
    """
    order = _order(text, {"who", "what", "kind", "version", "targets"})
    targets = order["targets"]
    if not isinstance(targets, list) or not _are_names(targets):
        raise _bad("targets", f"at most {TARGETS_LIMIT} names of hosts", targets)
    with _opened(world) as (log, highest):
        counter = max(highest + 1, int(world.now().timestamp()))
        _append(world, log, {"event": "issued", "counter": counter, **order})
    return counter


def record(world: World, text: bytes) -> None:
    """Write down how something ended.

    Args:
        text: `{"who": "eva@desk", "what": "deploy", "ended": "released 2 of 2", "targets":
            {"EC-TAA": "released"}, "counters": [1790000000]}`, at most 1 MiB; the counters are those that
            were issued for it.

    Raises:
        BadOrder: the text is something else; nothing was written.
    """
    order = _order(text, {"who", "what", "ended", "targets", "counters"})
    targets, counters = order["targets"], order["counters"]
    if not isinstance(targets, dict) or not _are_names(list(targets)):
        raise _bad("targets", f"at most {TARGETS_LIMIT} hosts and how it ended there", targets)
    for host, said in targets.items():
        if not _is_line(said, SAID_LIMIT):
            raise _bad(f"targets.{host}", f"a line of at most {SAID_LIMIT} characters", said)
    numbers = isinstance(counters, list) and all(type(one) is int for one in counters)
    if not numbers or len(counters) > COUNTERS_LIMIT:
        raise _bad("counters", f"at most {COUNTERS_LIMIT} numbers", counters)
    with _opened(world) as (log, _):
        _append(world, log, {"event": "ended", **order})


def last(world: World, count: int) -> list[dict[str, Any]]:
    """The last lines of the log, the oldest of them first; one that is damaged is said to be."""
    with _opened(world) as (log, _):
        log.seek(0)
        lines = list(log)[-count:] if count else []
    return [_read(line) or {"event": "damaged"} for line in lines]


@contextmanager
def _opened(world: World) -> Iterator[tuple[BinaryIO, int]]:
    """Opens the log for one, whole, and says the highest counter in it.

    A line without its end is what a power cut left of one that nobody was answered: it goes.
    """
    folder = world.root / "var/lib/turnaround/audit"
    disk.make_folder(folder, 0o750)
    path = folder / "audit.jsonl"
    with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o640)) as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        disk.sync_folder(folder)
        highest = whole = 0
        log.seek(0)
        for line in log:
            if line.endswith(b"\n"):
                whole += len(line)
                highest = max(highest, (_read(line) or {}).get("counter", 0))
        log.truncate(whole)
        yield log, highest


def _append(world: World, log: BinaryIO, entry: Mapping[str, Any]) -> None:
    # Ops share one account on a host: `who` is what their own machine says, `login` what ours knows.
    login = os.environ.get("SUDO_USER") or "root"
    line = {"at": world.stamp(), **entry, "login": login}
    log.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    log.flush()
    os.fsync(log.fileno())


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _order(text: bytes, fields: set[str]) -> dict[str, Any]:
    if len(text) > ORDER_LIMIT:
        raise BadOrder(f"the order has more than {ORDER_LIMIT} bytes; nothing was written")
    order = _read(text)
    if order is None or order.keys() != fields:
        found = sorted(order) if order else text[:80]
        raise _bad("the order", f"a JSON object of {', '.join(sorted(fields))}", found)
    for field, limit in _LIMITS.items():
        if field in fields and not _is_line(order[field], limit):
            raise _bad(field, f"a line of 1 to {limit} characters", order[field])
    return order


def _bad(field: str, expected: str, found: object) -> BadOrder:
    return BadOrder(f"{field}: expected {expected}, found {found!r:.120}; nothing was written")


def _is_line(value: object, limit: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limit and value.isprintable()


def _are_names(values: list[Any]) -> bool:
    return len(values) <= TARGETS_LIMIT and all(
        isinstance(one, str) and _NAME.fullmatch(one) for one in values
    )
