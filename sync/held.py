"""What stands still at a receiver and why: a stream that waits or stopped, and rows in quarantine."""

from __future__ import annotations

from typing import Literal, TypedDict

from sqlalchemy import Engine, text

__all__ = ["Standing", "held", "migrated", "note"]

State = Literal["waiting_schema", "stopped", "diverged"]


class Standing(TypedDict):
    """A stream's rows in quarantine, and why it stands still; '' when it goes on."""

    rows: int
    why: str


def note(engine: Engine, peer: str, stream: str, state: State | None, why: str = "") -> None:
    """Write down that a stream stands still, or with None that it goes on; the same again is fine."""
    key = {"peer": peer, "stream": stream, "state": state, "why": why[:2000]}
    with engine.begin() as connection:
        if state is None:
            # Most runs find nothing, and then write nothing.
            connection.execute(
                text("delete from sync.held where peer = :peer and stream = :stream"), key
            )
            return
        connection.execute(
            text(
                "insert into sync.held as h (peer, stream, state, why) "
                "values (:peer, :stream, :state, :why) on conflict (peer, stream) do update "
                "set state = excluded.state, why = excluded.why, "
                "since = case when h.state = excluded.state then h.since else now() end "
                "where (h.state, h.why) is distinct from (excluded.state, excluded.why)"
            ),
            key,
        )


def migrated(engine: Engine) -> None:
    """Let what waited for a schema be looked at again: the next heartbeat has it taken in."""
    with engine.begin() as connection:
        connection.execute(text("delete from sync.held where state = 'waiting_schema'"))


def held(engine: Engine) -> dict[str, dict[str, Standing]]:
    """Return what stands still here, by peer and stream; what goes on whole is left out.

    >>> held(engine)  # doctest: +SKIP
    {'EC-TAA': {'use': {'rows': 2, 'why': ''}}}
    """
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select peer, stream, sum(rows)::bigint as rows, max(why) as why from ("
                "select peer, stream, count(*) as rows, '' as why from sync.quarantine "
                "where state = 'open' group by peer, stream "
                "union all select peer, stream, 0, why from sync.held) all_of_them "
                "group by peer, stream order by peer, stream"
            )
        ).all()
    found: dict[str, dict[str, Standing]] = {}
    for row in rows:
        found.setdefault(row.peer, {})[row.stream] = Standing(rows=row.rows, why=row.why)
    return found
