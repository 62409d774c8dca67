"""The tables `configuration` and `wanted`: what waits for aircraft out of reach. All statements on
them stand here, but for the heartbeat's glance whether anything waits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

TRIES = 3  # what failed so often waits for people, not for the next heartbeat


@dataclass(frozen=True)
class Package:
    """A configuration as it arrives: the commit it is of, and an archive known by its hash."""

    revision: str
    archive: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of the archive."""
        return hashlib.sha256(self.archive).hexdigest()


@dataclass(frozen=True)
class Waiting:
    """What waits for one aircraft."""

    digest: str
    revision: str
    archive: bytes
    operator: str


@dataclass(frozen=True)
class WantedSeen:
    """The same as people look at it: no archive, and how often it failed and why."""

    digest: str
    revision: str
    operator: str
    since_s: int
    failed: int
    reason: str


def keep(session: Session, package: Package, now: datetime) -> None:
    """Keeps a configuration, once; the caller commits, after something waits for it."""
    _alone(session)
    session.execute(
        text(
            "INSERT INTO configuration (digest, revision, archive, created_at) "
            "VALUES (:digest, :revision, :archive, :now) ON CONFLICT (digest) DO NOTHING"
        ),
        {
            "digest": package.digest,
            "revision": package.revision,
            "archive": package.archive,
            "now": now,
        },
    )


def want(
    session: Session, digest: str, aircraft: Collection[str], operator: str, now: datetime
) -> list[str]:
    """Lets a configuration that is kept wait for aircraft, in the place of what waited; the caller
    commits.

    Returns:
        Those of the aircraft that are in the fleet: for them it waits now.

    Example:
        >>> want(session, package.digest, ["EC-TAB", "EC-XXX"], "ops@desk", now)
        ['EC-TAB']
    """
    _alone(session)
    rows = session.execute(
        text(
            "INSERT INTO wanted (aircraft, configuration, operator, queued_at) "
            "SELECT name, digest, :operator, :now FROM aircraft, configuration "
            "WHERE name = ANY(:names) AND digest = :digest "
            "ORDER BY name ON CONFLICT (aircraft) DO UPDATE SET configuration = EXCLUDED.configuration, "
            "operator = EXCLUDED.operator, queued_at = EXCLUDED.queued_at, failed = 0, reason = '' "
            "RETURNING aircraft"
        ),
        {
            "digest": digest,
            "operator": operator,
            "now": now,
            "names": list(aircraft),
        },
    ).all()
    _sweep(session)
    return sorted(row.aircraft for row in rows)


def drop(session: Session, had: Mapping[str, str]) -> list[str]:
    """Forgets what waits for aircraft, because they have it or something newer; the caller commits.

    Args:
        had: by name, the digest of what waited when that was found out: one that came meanwhile stays.
    """
    _alone(session)
    rows = session.execute(
        text(
            "DELETE FROM wanted w USING unnest(CAST(:names AS text[]), CAST(:digests AS text[])) "
            "AS had(name, digest) WHERE w.aircraft = had.name AND w.configuration = had.digest "
            "RETURNING w.aircraft"
        ),
        {"names": list(had), "digests": list(had.values())},
    ).all()
    _sweep(session)
    return sorted(row.aircraft for row in rows)


def _alone(session: Session) -> None:
    """Lets one at a time keep and remove, until its transaction ends: an archive that nobody waits for
    yet would be swept away by another. Who reads waits for nobody."""
    session.execute(text("LOCK TABLE configuration IN SHARE ROW EXCLUSIVE MODE"))


def _sweep(session: Session) -> None:
    """Removes the archives that nobody waits for any more."""
    session.execute(
        text(
            "DELETE FROM configuration c WHERE NOT EXISTS "
            "(SELECT FROM wanted w WHERE w.configuration = c.digest)"
        )
    )


def waiting_for(session: Session, aircraft: str) -> Waiting | None:
    """What waits for an aircraft, its archive included; None when nothing does."""
    row = session.execute(
        text(
            "SELECT c.digest, c.revision, c.archive, w.operator FROM wanted w "
            "JOIN configuration c ON c.digest = w.configuration WHERE w.aircraft = :name"
        ),
        {"name": aircraft},
    ).one_or_none()
    return Waiting(row.digest, row.revision, bytes(row.archive), row.operator) if row else None


def failed(session: Session, aircraft: str, digest: str, reason: str) -> None:
    """Notes that applying it failed; after `TRIES` times it is left to people."""
    session.execute(
        text(
            "UPDATE wanted SET failed = failed + 1, reason = :reason "
            "WHERE aircraft = :name AND configuration = :digest"
        ),
        {"name": aircraft, "digest": digest, "reason": reason},
    )


def seen(session: Session, now: datetime) -> Mapping[str, WantedSeen]:
    """What waits for whom, for the fleet page: one statement for the whole fleet."""
    rows = session.execute(
        text(
            "SELECT w.aircraft, c.digest, c.revision, w.operator, w.queued_at, w.failed, w.reason "
            "FROM wanted w JOIN configuration c ON c.digest = w.configuration"
        )
    )
    return {
        row.aircraft: WantedSeen(
            row.digest,
            row.revision,
            row.operator,
            max(0, round((now - row.queued_at).total_seconds())),
            row.failed,
            row.reason,
        )
        for row in rows
    }
