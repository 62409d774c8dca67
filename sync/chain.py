"""Chains: of each history of a peer's stream, which change-set is next, and whether it follows the last.

An aircraft's rows are only added, and merged by key, so each of its histories is a chain of its own: what was
sealed before its database went back may still come after the first change-set of the next history, and
counts. The cursor says which one is the present. What comes from the hangar is the state of things, so an
aircraft follows one history at a time, goes over to another by a snapshot, and never back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text

from common.settings import Settings
from sync import changeset, files, index
from sync.divergence import Diverged
from sync.skew import Refused

__all__ = ["Chain", "Place", "chains", "left", "lock", "record", "strays", "unchanged"]

_APPLIED = (
    "select seq, sha256 from sync.applied where (peer, stream, epoch) = (:peer, :stream, :epoch) "
    "order by seq desc limit 1"
)


@dataclass(frozen=True)
class Chain:
    """How far a history was applied; `epoch` is None before the first, `present`: it was not left."""

    epoch: UUID | None
    seq: int
    present: bool


@dataclass(frozen=True)
class Place:
    """What a change-set is: with `whole` what is not in it goes; `present`: of no history that was left."""

    whole: bool
    present: bool


def chains(engine: Engine, settings: Settings, peer: str, stream: str) -> list[tuple[Path, Chain]]:
    """Return the folders of the histories that have something here, in the order to take them in.

    Raises `Diverged` where the hangar offers a history that was left here, `Refused` where it is not clear
    which one is meant.
    """
    base = files.inbox(settings, peer) / stream
    found = [path for path in files.epoch_folders(base) if _holds_some(path, settings.role)]
    with engine.connect() as connection:
        cursor = connection.execute(
            text(
                "select epoch, seq, former from sync.cursor "
                "where peer = :peer and stream = :stream and epoch is not null"
            ),
            {"peer": peer, "stream": stream},
        ).one_or_none()
        former = {files.epoch8(one): one for one in cursor.former} if cursor else {}
        present = files.epoch8(cursor.epoch) if cursor else ""
        new = [path for path in found if path.name != present and path.name not in former]
        # Those of an aircraft in the order in which they were written to last.
        began = [
            (path, Chain(None, 0, True))
            for path in sorted(new, key=lambda path: path.stat().st_mtime)
        ]
        going_on = [
            (path, Chain(cursor.epoch, cursor.seq, True))
            for path in found
            if cursor and path.name == present
        ]
        if settings.role == "hangar":
            left = []
            for path in found:
                if path.name in former:
                    key = {"peer": peer, "stream": stream, "epoch": former[path.name]}
                    last = connection.execute(text(_APPLIED), key).one_or_none()
                    left.append((path, Chain(key["epoch"], last.seq if last else 0, False)))
            # One without its first was forgotten here, and is asked for anew (`divergence.went_back`).
            return [*going_on, *left, *(one for one in began if _begins(one[0]))]
    if len(began) > 1:
        names = ", ".join(path.name for path, _ in began)
        raise Refused(f"expected one history, found {names}: remove the folders of the older ones")
    if found and not began and not going_on:
        raise Diverged(
            f"the hangar is in history {found[0].name}, which was left here for {present}: its disk is of "
            "an earlier time. It is asked to begin a new one",
            found[0].name,
        )
    return began or going_on


def left(engine: Engine, settings: Settings, peer: str, stream: str) -> str | None:
    """Return which history is offered that was left here, by its first eight digits, or None."""
    try:
        chains(engine, settings, peer, stream)
    except Diverged as diverged:
        return diverged.epoch8
    except Refused:
        pass
    return None


def _begins(folder: Path) -> bool:
    return any(seq == 1 for seq, _ in files.change_sets(folder))


def strays(engine: Engine, settings: Settings, peer: str, vouched: index.Vouched) -> list[Path]:
    """Return the folders at the hangar of histories that an aircraft left, and has nothing more to send of.

    Arguments: `vouched` is what its index names.
    """
    with engine.connect() as connection:
        rows = connection.execute(
            text("select stream, epoch from sync.cursor where peer = :peer and epoch is not null"),
            {"peer": peer},
        ).all()
    kept = {(row.stream, files.epoch8(row.epoch)) for row in rows}
    kept |= {(stream, epoch8) for stream, epoch8, _ in vouched}
    return [
        folder
        for folder in files.histories(files.inbox(settings, peer))
        if (folder.parent.name, folder.name) not in kept
    ]


def _holds_some(folder: Path, role: str) -> bool:
    return any(files.change_sets(folder)) or (role == "aircraft" and any(files.snapshots(folder)))


def unchanged(engine: Engine, peer: str, stream: str, chain: Chain, folder: Path) -> None:
    """Raise `Diverged` when a change-set that was applied lies here with another hash."""
    old = {seq: path for seq, path in files.change_sets(folder) if seq <= chain.seq}
    if not old:
        return
    with engine.connect() as connection:
        applied = connection.execute(
            text(
                "select seq, sha256 from sync.applied "
                "where (peer, stream, epoch) = (:peer, :stream, :epoch) and seq = any(:old)"
            ),
            {"peer": peer, "stream": stream, "epoch": chain.epoch, "old": list(old)},
        ).all()
    for row in applied:
        found = files.sha256_of(old[row.seq])
        if found not in (None, row.sha256):
            raise Diverged(
                f"change-set {row.seq} was applied as {row.sha256}, and lies here as {found}: the other "
                "end's disk is of an earlier time. It is asked to begin a new history and to send "
                "again what it has; nothing was removed",
                folder.name,
            )


def lock(
    connection: Connection,
    role: str,
    peer: str,
    stream: str,
    header: changeset.Header,
    epoch: UUID,
) -> Place | None:
    """Lock the cursor and return where a change-set belongs; None when it was applied.

    Raises `Refused` when it has to wait, `Diverged` when it does not follow what was applied.
    """
    key = {"peer": peer, "stream": stream, "epoch": epoch}
    connection.execute(
        text(
            "insert into sync.cursor (peer, stream) values (:peer, :stream) on conflict do nothing"
        ),
        key,
    )
    cursor = connection.execute(
        text(
            "select epoch, seq, sha256, former from sync.cursor "
            "where peer = :peer and stream = :stream for update"
        ),
        key,
    ).one()
    if header.whole:
        had = cursor.epoch == epoch and (
            header.seq < cursor.seq
            or (header.seq == cursor.seq and not _lacked(connection, key, header))
        )
        return None if had else Place(whole=True, present=True)
    former = epoch in cursor.former
    seq, before = _last(connection, key, cursor, former)
    if role == "aircraft" and cursor.epoch != epoch and header.prev_sha256 != changeset.GENESIS:
        raise Refused("it needs the snapshot that its history begins with; the hangar offers one")
    if header.seq <= seq:
        return None
    if header.first_seq > seq + 1:
        raise Refused(f"waits for change-set {seq + 1}")
    if header.prev_sha256 != before:
        raise Diverged(
            f"change-set {header.seq} follows {header.prev_sha256}, and {before} was applied here: the two "
            "ends disagree about what came before. A new history is asked for; nothing was removed",
            files.epoch8(epoch),
        )
    # A hangar that is a release behind says so by no word: its first change-set has all rows.
    anew = cursor.epoch not in (None, epoch)
    return Place(whole=role == "aircraft" and anew, present=not former)


def _last(
    connection: Connection, key: Mapping[str, Any], cursor: Row[Any], former: bool
) -> tuple[int, str]:
    """Return the last change-set that was applied of a history, and its hash."""
    if cursor.epoch == key["epoch"]:
        return cursor.seq, cursor.sha256
    last = connection.execute(text(_APPLIED), key).one_or_none() if former else None
    return (last.seq, last.sha256) if last else (0, changeset.GENESIS)


def _lacked(connection: Connection, key: Mapping[str, Any], header: changeset.Header) -> bool:
    found = connection.scalar(
        text(
            "select exists (select from sync.need where peer = :peer and tbl = any(:tables) "
            "and reason <> 'recorded')"
        ),
        {**key, "tables": [table.table for table in header.tables]},
    )
    return bool(found)


def record(
    connection: Connection,
    peer: str,
    header: changeset.Header,
    epoch: UUID,
    sha256: str,
    milliseconds: int,
    place: Place,
) -> int:
    """Write down that a change-set was applied, in the transaction that did; returns its rows."""
    values = {
        "peer": peer,
        "stream": header.stream,
        "epoch": epoch,
        "seq": header.seq,
        # A snapshot stands where the change-set with its number would.
        "sha256": header.last_sha256 if header.whole else sha256,
        "rows": sum(table.upserts + table.deletes for table in header.tables),
        "ms": milliseconds,
    }
    connection.execute(
        text(
            "insert into sync.applied (peer, stream, epoch, seq, sha256, rows, ms) "
            "values (:peer, :stream, :epoch, :seq, :sha256, :rows, :ms)"
            + (" on conflict do nothing" if header.whole else "")
        ),
        values,
    )
    if place.present:
        connection.execute(
            text(
                "update sync.cursor set former = case when epoch = :epoch or epoch is null then former "
                "else former || epoch end, "
                "epoch = :epoch, seq = :seq, sha256 = :sha256, updated_at = now() "
                "where peer = :peer and stream = :stream"
            ),
            values,
        )
    return int(str(values["rows"]))
