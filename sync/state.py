"""What each end says of itself in a heartbeat, and what follows from it: what is due, what arrived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from sqlalchemy import Engine, text

from common.settings import Settings, node_name
from sync import content, files
from sync.apply import received_streams
from sync.manifest import BadManifest, load
from sync.seal import own_streams

__all__ = ["Head", "acks", "due", "heads", "local_state"]


class Head(TypedDict):
    """How far a stream has come: its epoch, its last change-set's number and hash."""

    epoch: str
    seq: int
    sha256: str


def acks(engine: Engine, aircraft: str) -> dict[str, Head]:
    """Return how far the aircraft's streams were applied here, which is what it may forget.

    >>> acks(engine, "EC-TAA")  # doctest: +SKIP
    {'use': {'epoch': '1f0a93c2-…', 'seq': 12, 'sha256': '…'}}
    """
    return _cursors(engine, aircraft)


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


def _cursors(engine: Engine, peer: str) -> dict[str, Head]:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select stream, epoch, seq, sha256 from sync.cursor "
                "where peer = :peer and epoch is not null order by stream"
            ),
            {"peer": peer},
        )
        return {
            row.stream: Head(epoch=str(row.epoch), seq=row.seq, sha256=row.sha256) for row in rows
        }


def local_state(engine: Engine, settings: Settings) -> dict[str, Any]:
    """Return the aircraft's part of a heartbeat: `up`, `pushed`, `down`, `content`.

    `pushed` says that change-sets lie at the hangar that it has not acknowledged yet.
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
    came = _cursors(engine, files.HANGAR)
    return {
        "up": up,
        "pushed": bool(pushed),
        "down": {stream: came.get(stream, nothing) for stream in received_streams("aircraft")},
        "content": content.local_state(settings),
    }


def due(engine: Engine, settings: Settings, aircraft: str, body: Mapping[str, Any]) -> list[str]:
    """Return what the aircraft should synchronise: of `up`, `cat`, `usr`, `content`, in that order.

    Arguments: `body` is the aircraft's heartbeat as it came; what is malformed in it is due.

    >>> due(engine, settings, "EC-TAA", {"down": {"cat": {"seq": 3}}})  # doctest: +SKIP
    ['cat', 'usr', 'content']
    """
    wanted = []
    if _up_due(engine, settings, node_name(aircraft), body):
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
    return wanted


def _published_version(settings: Settings) -> str:
    try:
        return load((settings.content_dir / "manifest.json").read_bytes()).version
    except (FileNotFoundError, BadManifest):
        return ""


def _up_due(engine: Engine, settings: Settings, aircraft: str, body: Mapping[str, Any]) -> bool:
    up, pushed = _mapping(body.get("up")), body.get("pushed") is True
    came = acks(engine, aircraft)
    inbox = files.inbox(settings, aircraft)
    for stream in own_streams("aircraft"):
        there = _mapping(up.get(stream))
        sealed, unsealed = there.get("sealed", 0), there.get("unsealed_rows", 0)
        if not isinstance(sealed, int) or not isinstance(unsealed, int) or unsealed > 0:
            return bool(there)
        ack = came.get(stream)
        applied = ack["seq"] if ack and ack["epoch"] == there.get("epoch") else 0
        # What was pushed and lies in the inbox is ours to apply, not theirs to send again.
        epoch8 = str(there.get("epoch", ""))[:8]
        folder = inbox / stream / epoch8
        here = {seq for seq, _ in files.change_sets(folder)} if epoch8.isalnum() else set()
        wanted = range(applied + 1, sealed + 1)
        if wanted and not (pushed and all(seq in here for seq in wanted)):
            return True
    return False


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
