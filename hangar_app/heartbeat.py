"""A heartbeat: what an aircraft says of itself every few seconds, and what the hangar answers.

A handful of statements, whatever the aircraft says: five hundred aircraft say something every five
seconds, and fifty of them may land at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import text
from sqlalchemy.orm import Session

from common.schema import Aircraft
from common.uuid7 import uuid7
from hangar_app import work
from hangar_app.campaign import ALOFT, GROUND, SILENCE
from hangar_app.campaign_store import IS_FOR
from hangar_app.wanted import TRIES
from hangar_app.work import Job, Kind
from sync import files
from sync.state import FORMER, Due

BODY_LIMIT = 65_536  # bytes
INTERVAL_S = 5

Name = Annotated[str, Field(min_length=1, max_length=32)]
Word = Annotated[str, Field(max_length=128)]
# What a disk or a table can hold: the pages of the whole fleet reckon with it.
Count = Annotated[int, Field(ge=0, lt=2**63)]
Epoch8 = Annotated[str, Field(pattern=f"^{files.EPOCH8}$")]
Days = Annotated[int, Field(ge=-99_999, le=99_999)]


class Part(BaseModel):
    """What the hangar does not know yet it keeps: an aircraft may be newer than the hangar."""

    model_config = ConfigDict(extra="allow")


class Position(Part):
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    altitude_ft: float | None = None
    ground_speed_kt: float | None = None
    heading_deg: float | None = None


class ReleaseState(Part):
    version: Word | None = None
    state: Word | None = None


class Returned(Part):
    """The release that was last returned from aboard, and why."""

    kind: Name
    version: Word
    at: Word
    reason: Annotated[str, Field(max_length=1000)]


class Up(Part):
    epoch: Word | None = None
    sealed: Count = 0
    acked: Count = 0
    unsealed_rows: Count = 0
    rows: Count = 0
    bytes: Count = 0
    row_bytes: Annotated[float, Field(ge=0, le=1e9)] | None = None
    oldest_at: AwareDatetime | None = None
    former: Annotated[dict[Epoch8, Count], Field(max_length=FORMER)] = Field(default_factory=dict)


class Down(Part):
    epoch: Word | None = None
    seq: Count = 0
    sha256: Word | None = None


class Standing(Part):
    """Rows of a stream that the aircraft keeps aside, and why the stream stands still there."""

    rows: Count = 0
    why: Annotated[str, Field(max_length=1000)] = ""


class Aside(Part):
    """Items whose files the aircraft does not fetch, or gave up, and why the first of them."""

    items: Count = 0
    bytes: Count = 0
    why: str = ""


class Content(Part):
    version: Word | int | None = None
    missing_files: Count = 0
    missing_bytes: Count = 0
    waiting: Aside | None = None
    evicted: Aside | None = None
    refused: str = ""


class Disk(Part):
    free: Count
    total: Count


class Heartbeat(Part):
    """What an aircraft posts; only its name and its time must be there."""

    node: Name
    at: AwareDatetime
    boot_id: Word | None = None
    phase: Word = "unknown"
    position: Position | None = None
    flight: Word | None = None
    releases: dict[Name, ReleaseState | None] = Field(default_factory=dict)
    returned: Returned | None = None
    schema_version: Word | None = Field(default=None, alias="schema")
    up: dict[Name, Up] = Field(default_factory=dict)
    pushed: bool = False
    down: dict[Name, Down | None] = Field(default_factory=dict)
    content: Content | None = None
    held: dict[Name, Standing] = Field(default_factory=dict)
    needs: dict[Name, Word] = Field(default_factory=dict)
    recorded: dict[Name, Word] = Field(default_factory=dict)
    wants: dict[Name, Word] = Field(default_factory=dict)
    disk: Disk | None = None
    syncing: bool = False
    # What it was told last that it is due; an older release does not say.
    heard: list[Name] | None = None
    certificates: dict[Word, Days] = Field(default_factory=dict)


class Refused(Exception):
    """A heartbeat that is not answered; `status` is HTTP's, the message is for the log aboard."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Streams:
    """The questions to the synchronisation's state, handed in so that they can be stood in for."""

    due: Callable[[str, Mapping[str, Any]], Due]
    acks: Callable[[str], Mapping[str, Any]]
    needs: Callable[[str, Mapping[str, str]], Mapping[str, str]] = lambda name, recorded: {}


def parse(raw: bytes) -> Heartbeat:
    """Reads a heartbeat's body.

    Raises:
        Refused: 413 when it is longer than 64 KiB, 400 with the first field that is wrong, or for
            the character U+0000, which the database keeps in no text.

    Example:
        >>> parse(b'{"node": "EC-TAA", "at": "2026-01-02T03:04:05Z", "phase": "ground"}').node
        'EC-TAA'
    """
    if len(raw) > BODY_LIMIT:
        raise Refused(413, f"the heartbeat has more than {BODY_LIMIT} bytes")
    # Two backslashes are one in the text; what is left of the form \u0000 is the character itself.
    if rb"\u0000" in raw.replace(rb"\\", b""):
        raise Refused(400, "the heartbeat is not as agreed: it holds the character U+0000")
    try:
        return Heartbeat.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Refused(400, f"the heartbeat is not as agreed: {where}: {first['msg']}") from error


def wanted(
    body: Heartbeat,
    due: Collection[str],
    came: bool,
    waits: bool = False,
    offered: bool = False,
) -> list[Kind]:
    """What a heartbeat starts: taking in what was pushed, calling an aircraft that is behind, making
    it what it was to become while it was away, shipping what a campaign offers it on the ground.

    What lies in the inbox is brought up to date by taking it in, not by another call. An aircraft begins by
    itself what it hears that it is due: it is called about what it has heard already, and did not do.

    Example:
        >>> at = "2026-01-02T03:04:05Z"
        >>> [kind.name for kind in wanted(Heartbeat(node="EC-TAA", at=at), ["cat"], False)]
        ['dispatch']
    """
    kinds = []
    left = set(due) if body.heard is None else set(due) & set(body.heard)
    if came:
        kinds.append(work.INGEST)
    if body.pushed:
        left.discard("up")
    if left and not body.syncing:
        kinds.append(work.DISPATCH)
    if waits:
        kinds.append(work.CONVERGE)
    if offered and body.phase == GROUND:
        kinds.append(work.CAMPAIGN)
    return kinds


def receive(
    session: Session, source: str | None, raw: bytes, streams: Streams, now: datetime
) -> tuple[dict[str, Any], list[Job]]:
    """Stores a heartbeat and answers it; the jobs are to be queued once this is committed.

    Args:
        session: commits before it returns.
        source: the sender's address on the tower, as nginx saw it.
        raw: the body as it came.
        streams: what is due and what was acknowledged.
        now: time with zone.

    Raises:
        Refused: when the sender is not the aircraft that it says it is, or the body is wrong.
    """
    body = parse(raw)
    if not source:
        raise Refused(403, "heartbeats are taken on the tower only, through nginx")
    told = body.model_dump_json(by_alias=True)
    stored = _store(session, body, source, told, now)
    if stored is None:
        raise Refused(403, _stranger(session, body.node, source))
    session.commit()
    due = streams.due(body.node, body.model_dump(mode="json", by_alias=True))
    acks = streams.acks(body.node)
    # What was applied and waits for the archive to be acknowledged is still called pushed.
    came = body.pushed and due.unapplied
    # Taking in lays out anew what each aircraft lacks, by what it said last.
    came |= due.unoffered
    kinds = wanted(body, due.names, came, stored.waits, stored.offered)
    jobs = work.start(session, kinds, now, body.node) if kinds else []
    session.commit()
    reply = {"now": now.isoformat(), "interval_s": INTERVAL_S, "due": due.names, "acks": dict(acks)}
    if stored.lacks and (needs := streams.needs(body.node, body.recorded)):
        reply["needs"] = dict(needs)
    reply |= {name: told for name, told in (("wants", due.wants), ("former", due.former)) if told}
    if due.urgent and body.syncing:
        # A film may be on its way for the next hour: this goes before it.
        reply["urgent"] = due.urgent
    return reply, jobs


@dataclass(frozen=True)
class Stored:
    """A heartbeat that was kept; `waits`: whether a configuration waits for that aircraft, `offered`:
    whether a campaign may have something for it, `lacks`: whether it sent what had no place here."""

    waits: bool
    offered: bool
    lacks: bool


# On the right of an assignment a column is still what it was before.
_STORE = text(f"""
WITH seen AS (
  UPDATE aircraft SET last_seen = :now, last_body = CAST(:body AS jsonb),
         grounded_at = CASE WHEN :ground THEN :now ELSE grounded_at END,
         landings = landings + CASE WHEN :ground AND (grounded_at IS NULL
             OR grounded_at < :silent_since OR last_body ->> 'phase' = ANY(:aloft))
           THEN 1 ELSE 0 END
   WHERE name = :name AND tower = :source RETURNING name
)
INSERT INTO heartbeat (id, aircraft, received_at, body)
SELECT :id, name, :now, CAST(:body AS jsonb) FROM seen
RETURNING
  EXISTS (SELECT FROM wanted w WHERE w.aircraft = :name AND w.failed < :tries) AS waits,
  EXISTS (SELECT FROM campaign_aircraft m JOIN campaign c ON c.id = m.campaign
           WHERE m.aircraft = :name AND (m.state = 'returning'
              OR m.state = 'pending' AND m.wave IS NOT NULL AND c.state = 'running'))
  -- One that was enrolled since, or another box under a name that is meant.
  OR EXISTS (SELECT FROM campaign c WHERE c.state = 'running'
              AND {IS_FOR.format(plan="c.plan", name="CAST(:name AS text)")}
              AND NOT EXISTS (SELECT FROM campaign_aircraft m
                               WHERE m.campaign = c.id AND m.aircraft = :name)) AS offered,
  EXISTS (SELECT FROM sync.need n WHERE n.peer = :name AND n.reason = 'backfill') AS lacks
""")  # noqa: S608  # what is put in is a constant of ours


def _store(
    session: Session, heartbeat: Heartbeat, source: str, told: str, now: datetime
) -> Stored | None:
    """Keeps the heartbeat if it comes from where that aircraft is on the tower, and counts a landing.

    On the tower an address is a key: WireGuard lets no one else send from it.
    """
    stored = session.execute(
        _STORE,
        {
            "id": uuid7(),
            "name": heartbeat.node,
            "source": source,
            "now": now,
            "body": told,
            "tries": TRIES,
            "ground": heartbeat.phase == GROUND,
            "silent_since": now - SILENCE,
            "aloft": list(ALOFT),
        },
    ).one_or_none()
    return Stored(stored.waits, stored.offered, stored.lacks) if stored else None


def _stranger(session: Session, name: str, source: str) -> str:
    known = session.get(Aircraft, name)
    if known is None:
        return f"no aircraft {name} is in the fleet; import the inventory at the hangar"
    return f"{name} is {known.tower} on the tower; this came from {source}"
