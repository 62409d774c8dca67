"""What each end says of itself in a heartbeat, and what follows from it: what is due, what arrived."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import Engine, text

from common.settings import Settings, node_name
from sync import backfill, behind, chain, divergence, files, held, holding, index
from sync.apply import received_streams
from sync.capture import known
from sync.heard import mapping
from sync.issue import HEAD, read_head
from sync.seal import own_streams

__all__ = ["FORMER", "Due", "Head", "acks", "due", "heads", "local_state"]

WHY = 500  # characters of why a stream stands still; all of it is in sync.held
FORMER = 100
"""Histories of a stream that were left and are told of at once: the answer has a place for each of them."""


@dataclass(frozen=True)
class Due:
    """What an aircraft should synchronise, of `up`, `cat`, `usr`, `content` in that order, and whether
    it has sealed anything that was not applied here; `urgent` is the most urgent that came since it
    began to follow the manifest that it names (`sync.issue.Head`).

    Arguments: `wants` are streams of it that should be sent anew, and `former` is how far what it keeps of
    histories that it left was applied, by stream and history; `unoffered`: nothing lies ready of what is due.
    """

    names: list[str]
    unapplied: bool
    urgent: dict[str, Any] | None = None
    wants: dict[str, str] = field(default_factory=dict)
    former: dict[str, dict[str, Any]] = field(default_factory=dict)
    unoffered: bool = False


class Head(TypedDict):
    """How far a stream has come: its epoch, its last change-set's number and hash."""

    epoch: str
    seq: int
    sha256: str


def acks(engine: Engine, aircraft: str) -> dict[str, Head]:
    """Return what the aircraft may forget of its streams: what was applied, and cannot be lost again.

    Where the database is archived to another place, that is what lies there: a hangar that is
    restored gets the rest from the aircraft, as if it had never come.

    >>> acks(engine, "EC-TAA")  # doctest: +SKIP
    {'use': {'epoch': '1f0a93c2-…', 'seq': 12, 'sha256': '…'}}
    """
    with engine.begin() as connection:
        # Whatever is seen here was committed before the place that is noted for it now.
        rows = connection.execute(
            text(
                "with marked as (update sync.applied set wal = pg_current_wal_insert_lsn() - '0/0' "
                "where peer = :peer and wal is null returning 1) "
                "select c.stream, a.epoch, a.seq, a.sha256 from sync.cursor c "
                "cross join lateral (select epoch, seq, sha256 from sync.applied "
                "where (peer, stream, epoch) = (c.peer, c.stream, c.epoch) "
                "and coalesce(wal, 9223372036854775807) <= sync.archived() "
                "order by seq desc limit 1) a where c.peer = :peer order by c.stream"
            ),
            {"peer": aircraft},
        ).all()
    return {row.stream: Head(epoch=str(row.epoch), seq=row.seq, sha256=row.sha256) for row in rows}


def heads(engine: Engine) -> dict[str, Head]:
    """Return the last published change-set of each stream that is sent from here, or where it begins."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select distinct on (e.stream) e.stream, e.epoch, coalesce(b.seq, 0) as seq, "
                "coalesce(b.sha256, e.base) as sha256 from sync.epoch e "
                "left join sync.batch b on (b.stream, b.epoch) = (e.stream, e.epoch) "
                "and b.state <> 'sealed' where b.seq is not null or exists (select from sync.snapshot s "
                "where (s.stream, s.epoch) = (e.stream, e.epoch)) order by e.stream, b.seq desc"
            )
        )
        return {
            row.stream: Head(epoch=str(row.epoch), seq=row.seq, sha256=row.sha256) for row in rows
        }


@dataclass(frozen=True)
class _Received:
    """How far a peer's streams were applied here, and what else there is to say of them."""

    heads: dict[str, Head]
    former: dict[str, list[str]]
    held: dict[str, str]


def _received(engine: Engine, peer: str) -> _Received:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select stream, c.epoch, c.seq, c.sha256, c.former, h.state "
                "from (select * from sync.cursor where peer = :peer and epoch is not null) c "
                "full join (select * from sync.held where peer = :peer) h using (stream) "
                "order by stream"
            ),
            {"peer": peer},
        ).all()
    followed = [row for row in rows if row.epoch is not None]
    return _Received(
        {
            row.stream: Head(epoch=str(row.epoch), seq=row.seq, sha256=row.sha256)
            for row in followed
        },
        {row.stream: [str(epoch) for epoch in row.former] for row in followed},
        {row.stream: row.state for row in rows if row.state},
    )


def local_state(engine: Engine, settings: Settings) -> dict[str, Any]:
    """Return the aircraft's part of a heartbeat: `up`, `pushed`, `down`, `content`.

    `pushed` says that change-sets lie at the hangar that it has not acknowledged yet. Where there are any:
    `held`, what stands still here; `needs`, tables that a snapshot is asked for; `recorded`, what the
    hangar asked for and will get; `wants`, streams whose history of now cannot be followed here. In `up` a
    stream's `former` are change-sets that are kept of histories that were left, by history the last one.
    """
    with engine.connect() as connection:
        streams = connection.execute(
            text(
                "select e.stream, e.epoch, "
                "(select coalesce(max(seq), 0) from sync.batch b "
                " where b.stream = e.stream and b.epoch = e.epoch) as sealed, "
                "(select coalesce(max(seq), 0) from sync.batch b where b.stream = e.stream "
                " and b.epoch = e.epoch and b.state = 'acked') as acked, "
                "(select count(*) from sync.dirty d "
                " where d.stream = e.stream and d.batch is null and (d.stream, d.tbl) in "
                " (select * from unnest(cast(:streams as text[]), cast(:tables as text[])))"
                ") as unsealed_rows from sync.epoch e order by e.stream"
            ),
            known(settings.role),
        ).all()
        waiting = behind.waiting(connection, settings.role)
        pushed = connection.scalar(
            text(
                "select exists (select from sync.batch "
                "where state = 'published' and pushed_at is not null)"
            )
        )
    up = {
        row.stream: {
            "epoch": str(row.epoch),
            "sealed": row.sealed,
            "acked": row.acked,
            "unsealed_rows": row.unsealed_rows,
            **_kept(settings, row.stream),
            **waiting.get(row.stream, {}),
        }
        for row in streams
    }
    pushed = pushed or any("former" in one for one in up.values())
    nothing = Head(epoch="", seq=0, sha256="")
    came = _received(engine, files.HANGAR)
    return {
        "up": up,
        "pushed": bool(pushed),
        "down": {
            stream: came.heads.get(stream, nothing) for stream in received_streams("aircraft")
        },
        "content": holding.local_state(settings),
        **_special(engine, settings, came),
    }


def _kept(settings: Settings, stream: str) -> dict[str, Any]:
    folders = files.epoch_folders(files.former(settings) / stream)
    kept = ((folder.name, [seq for seq, _ in files.change_sets(folder)]) for folder in folders)
    told = ((name, max(numbers)) for name, numbers in kept if numbers)
    former = dict(islice(told, FORMER))
    return {"former": former} if former else {}


def _special(engine: Engine, settings: Settings, came: _Received) -> dict[str, Any]:
    standing = {
        stream: {"rows": one["rows"], "why": one["why"][:WHY]}
        for stream, one in held.held(engine).get(files.HANGAR, {}).items()
    }
    needs = dict.fromkeys(backfill.needs(engine, files.HANGAR), "backfill")
    wants = {
        stream: chain.left(engine, settings, files.HANGAR, stream)
        for stream, state in came.held.items()
        if state == "diverged"
    }
    told = {
        "held": standing,
        "needs": needs,
        "recorded": backfill.answered(engine),
        "wants": {stream: epoch8 for stream, epoch8 in wants.items() if epoch8},
    }
    return {name: said for name, said in told.items() if said}


def due(engine: Engine, settings: Settings, aircraft: str, body: Mapping[str, Any]) -> Due:
    """Return what the aircraft should synchronise.

    Arguments: `body` is the aircraft's heartbeat as it came; what is malformed in it is due.

    >>> due(engine, settings, "EC-TAA", {"down": {"cat": {"seq": 3}}})  # doctest: +SKIP
    Due(names=['cat', 'usr', 'content'], unapplied=False)
    """
    wanted, unoffered = [], False
    came = _received(engine, node_name(aircraft))
    up = {stream: mapping(there) for stream, there in mapping(body.get("up")).items()}
    followed = {
        stream: [head["epoch"], *came.former[stream]] for stream, head in came.heads.items()
    }
    former, unapplied_former = _former(engine, node_name(aircraft), up, followed)
    inbox = files.inbox(settings, node_name(aircraft))
    if _up_due(came.heads, inbox, body) or not _all_here(inbox, unapplied_former):
        wanted.append("up")
    outbox = settings.sync_dir / "outbox" / node_name(aircraft)
    down = mapping(body.get("down"))
    for stream, head in heads(engine).items():
        there = mapping(down.get(stream))
        if there.get("epoch") != head["epoch"] or there.get("seq") != head["seq"]:
            wanted.append(stream)
            unoffered |= not _lies_ready(outbox / "down" / stream, head, there)
    offered = read_head(outbox / "content" / HEAD)
    there = mapping(body.get("content"))
    follows = str(there.get("version", ""))
    if offered.version and (follows != offered.version or there.get("missing_files")):
        wanted.append("content")
    unapplied = any(
        _applied(came.heads.get(stream), there) != there.get("sealed", 0)
        for stream, there in up.items()
        # What waits for a migration here is taken up after it, and not at each heartbeat.
        if came.held.get(stream) != "waiting_schema"
    )
    wants = {
        stream: "snapshot"
        for stream, there in up.items()
        if divergence.went_back(
            there,
            came.heads.get(stream),
            came.former.get(stream, []),
            came.held.get(stream) == "diverged",
        )
    }
    urgent = offered.urgent(follows) if follows != offered.version else None
    return Due(wanted, unapplied or bool(unapplied_former), urgent, wants, former, unoffered)


def _lies_ready(offer: Path, head: Head, there: Mapping[str, Any]) -> bool:
    """Return whether anything that is offered of a stream leads on from where an aircraft is."""
    after = there.get("seq") if there.get("epoch") == head["epoch"] else None
    folder = offer / files.epoch8(UUID(head["epoch"]))
    numbers = [seq for seq, _ in (*files.change_sets(folder), *files.snapshots(folder))]
    return any(seq > after for seq in numbers) if isinstance(after, int) else bool(numbers)


def _former(
    engine: Engine,
    aircraft: str,
    up: Mapping[str, Mapping[str, Any]],
    followed: Mapping[str, list[str]],
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str, int]]]:
    """Return how far what an aircraft keeps of histories that it left was applied and cannot be lost again,
    by stream and the history's first eight digits; and of which, how far, it was not applied yet."""
    # The aircraft's words: streams of its own count, or one body could ask for thousands of questions.
    said = {
        stream: mapping(up[stream].get("former"))
        for stream in own_streams("aircraft")
        if stream in up
    }
    kept = {stream: numbers for stream, numbers in said.items() if numbers}
    if not kept:
        return {}, []
    pairs = [(stream, epoch) for stream in kept for epoch in followed.get(stream, [])]
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select m.stream, m.epoch, m.applied, a.seq, a.sha256 from ("
                "select f.stream, f.epoch, max(b.seq) as applied, "
                "max(b.seq) filter (where coalesce(b.wal, 9223372036854775807) <= sync.archived()) as safe "
                "from unnest(cast(:streams as text[]), cast(:epochs as uuid[])) f(stream, epoch) "
                "join sync.applied b on (b.peer, b.stream, b.epoch) = (:peer, f.stream, f.epoch) "
                "group by f.stream, f.epoch) m "
                "left join sync.applied a on (a.peer, a.stream, a.epoch) = (:peer, m.stream, m.epoch) "
                "and a.seq = m.safe"
            ),
            {
                "peer": aircraft,
                "streams": [stream for stream, _ in pairs],
                "epochs": [epoch for _, epoch in pairs],
            },
        ).all()
    applied = {(row.stream, files.epoch8(row.epoch)): row for row in rows}
    told: dict[str, dict[str, Any]] = {}
    unapplied: list[tuple[str, str, int]] = []
    for stream, numbers in kept.items():
        for name, last in numbers.items():
            row = applied.get((stream, name))
            if isinstance(last, int) and (row is None or row.applied < last):
                unapplied.append((stream, name, last))
            if row is not None and row.seq is not None:
                told.setdefault(stream, {})[name] = {"seq": row.seq, "sha256": row.sha256}
    return told, unapplied


def _all_here(inbox: Path, unapplied: Iterable[tuple[str, str, int]]) -> bool:
    """Return whether what an aircraft keeps of histories that it left came: the last of each comes last."""
    return all(
        # This, too, is the aircraft's word.
        re.fullmatch(files.EPOCH8, name)
        and any(last == seq for seq, _ in files.change_sets(inbox / stream / name))
        for stream, name, last in unapplied
    )


def _up_due(came: Mapping[str, Head], inbox: Path, body: Mapping[str, Any]) -> bool:
    # What came unsigned, or was signed by a key that no longer counts, is not taken.
    signed = (inbox / index.NAME).is_file()
    up, pushed = mapping(body.get("up")), body.get("pushed") is True and signed
    for stream in own_streams("aircraft"):
        there = mapping(up.get(stream))
        sealed, unsealed = there.get("sealed", 0), there.get("unsealed_rows", 0)
        if not isinstance(sealed, int) or not isinstance(unsealed, int) or unsealed > 0:
            return bool(there)
        applied = _applied(came.get(stream), there)
        # What was pushed and lies in the inbox is ours to apply, not theirs to send again.
        epoch8 = str(there.get("epoch", ""))[:8]
        folder = inbox / stream / epoch8
        here = {seq for seq, _ in files.change_sets(folder)} if epoch8.isalnum() else set()
        wanted = range(applied + 1, sealed + 1)
        if wanted and not (pushed and all(seq in here for seq in wanted)):
            return True
    return False


def _applied(came: Head | None, there: Mapping[str, Any]) -> int:
    """Return the number of the last applied change-set of the history that the aircraft is in."""
    return came["seq"] if came and came["epoch"] == there.get("epoch") else 0
