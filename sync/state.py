"""What each end says of itself in a heartbeat, and what follows from it: what is due, what arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from sqlalchemy import Engine, text

from common.settings import Settings, node_name
from sync import backfill, content, files, held
from sync.apply import received_streams
from sync.manifest import BadManifest, load
from sync.seal import own_streams

__all__ = ["Due", "Head", "acks", "due", "heads", "local_state"]

WHY = 500  # characters of why a stream stands still; all of it is in sync.held


@dataclass(frozen=True)
class Due:
    """What an aircraft should synchronise, of `up`, `cat`, `usr`, `content` in that order, and whether
    it has sealed anything that was not applied here."""

    names: list[str]
    unapplied: bool


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
    """Return the last published change-set of each stream that is sent from here."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select distinct on (b.stream) b.stream, b.epoch, b.seq, b.sha256 "
                "from sync.batch b join sync.epoch e using (stream, epoch) "
                "where b.state <> 'sealed' order by b.stream, b.seq desc"
            )
        )
        return {
            row.stream: Head(epoch=str(row.epoch), seq=row.seq, sha256=row.sha256) for row in rows
        }


def _received(engine: Engine, peer: str) -> tuple[dict[str, Head], set[str]]:
    """Return how far a peer's streams were applied here, and which of them wait for a migration here."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select stream, c.epoch, c.seq, c.sha256, h.stream is not null as waits "
                "from (select * from sync.cursor where peer = :peer and epoch is not null) c "
                "full join (select * from sync.held where peer = :peer "
                "and state = 'waiting_schema') h using (stream) order by stream"
            ),
            {"peer": peer},
        ).all()
    heads = {
        row.stream: Head(epoch=str(row.epoch), seq=row.seq, sha256=row.sha256)
        for row in rows
        if row.epoch is not None
    }
    return heads, {row.stream for row in rows if row.waits}


def local_state(engine: Engine, settings: Settings) -> dict[str, Any]:
    """Return the aircraft's part of a heartbeat: `up`, `pushed`, `down`, `content`.

    `pushed` says that change-sets lie at the hangar that it has not acknowledged yet. Where there are any:
    `held`, what stands still here; `needs`, tables that a snapshot is asked for; `recorded`, what the
    hangar asked for and will get.
    """
    with engine.connect() as connection:
        streams = connection.execute(
            text(
                "select e.stream, e.epoch, "
                "(select coalesce(max(seq), 0) from sync.batch b "
                " where b.stream = e.stream and b.epoch = e.epoch) as sealed, "
                "(select count(*) from sync.dirty d "
                " where d.stream = e.stream and d.batch is null) as unsealed_rows "
                "from sync.epoch e order by e.stream"
            )
        ).all()
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
            "unsealed_rows": row.unsealed_rows,
        }
        for row in streams
    }
    nothing = Head(epoch="", seq=0, sha256="")
    came, _ = _received(engine, files.HANGAR)
    return {
        "up": up,
        "pushed": bool(pushed),
        "down": {stream: came.get(stream, nothing) for stream in received_streams("aircraft")},
        "content": content.local_state(settings),
        **_special(engine),
    }


def _special(engine: Engine) -> dict[str, Any]:
    standing = {
        stream: {"rows": one["rows"], "why": one["why"][:WHY]}
        for stream, one in held.held(engine).get(files.HANGAR, {}).items()
    }
    needs = dict.fromkeys(backfill.needs(engine, files.HANGAR), "backfill")
    told = {"held": standing, "needs": needs, "recorded": backfill.answered(engine)}
    return {name: said for name, said in told.items() if said}


def due(engine: Engine, settings: Settings, aircraft: str, body: Mapping[str, Any]) -> Due:
    """Return what the aircraft should synchronise.

    Arguments: `body` is the aircraft's heartbeat as it came; what is malformed in it is due.

    >>> due(engine, settings, "EC-TAA", {"down": {"cat": {"seq": 3}}})  # doctest: +SKIP
    Due(names=['cat', 'usr', 'content'], unapplied=False)
    """
    wanted = []
    came, waits = _received(engine, node_name(aircraft))
    if _up_due(came, files.inbox(settings, node_name(aircraft)), body):
        wanted.append("up")
    down = _mapping(body.get("down"))
    for stream, head in heads(engine).items():
        there = _mapping(down.get(stream))
        if there.get("epoch") != head["epoch"] or there.get("seq") != head["seq"]:
            wanted.append(stream)
    offered = _published_version(settings)
    there = _mapping(body.get("content"))
    if offered and (there.get("version") != offered or there.get("missing_files")):
        wanted.append("content")
    unapplied = any(
        _applied(came.get(stream), _mapping(there)) != _mapping(there).get("sealed", 0)
        for stream, there in _mapping(body.get("up")).items()
        # What waits for a migration here is taken up after it, and not at each heartbeat.
        if stream not in waits
    )
    return Due(wanted, unapplied)


def _published_version(settings: Settings) -> str:
    try:
        return load((settings.content_dir / "manifest.json").read_bytes()).version
    except (FileNotFoundError, BadManifest):
        return ""


def _up_due(came: Mapping[str, Head], inbox: Path, body: Mapping[str, Any]) -> bool:
    up, pushed = _mapping(body.get("up")), body.get("pushed") is True
    for stream in own_streams("aircraft"):
        there = _mapping(up.get(stream))
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


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
