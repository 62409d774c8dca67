"""What recording changed keys costs a bulk load: COPY with the triggers beside COPY without, in turns."""

from __future__ import annotations

from statistics import median

from sqlalchemy import Engine, text

from ci.bench.sync.events import load, usage_events
from ci.bench.sync.server import serving
from ci.bench.table import Row

ROUNDS = 9


def rows(full: bool) -> list[Row]:
    """10⁵ events, with `full` twice as many, in turns; the first round warms up."""
    count = 200_000 if full else 100_000
    data = usage_events(count)
    with serving() as server:
        plain, captured = server.database("plain"), server.database("captured", "aircraft")
        both = [(_copied_s(plain, data), _copied_s(captured, data)) for _ in range(ROUNDS)][1:]
    one, other = median(pair[0] for pair in both), median(pair[1] for pair in both)
    return [
        Row("COPY of usage events, without triggers", count / one, "rows/s"),
        Row("the same with their keys recorded", count / other, "rows/s"),
        # Of each round, because what else the machine does slows down both of it.
        Row("capture ÷ plain COPY", median(with_ / without for without, with_ in both), "×", 1.5),
    ]


def _copied_s(engine: Engine, data: bytes) -> float:
    took = load(engine, data)
    with engine.begin() as connection:
        # TRUNCATE is refused where keys are recorded.
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text("truncate usage_event, sync.dirty"))
    return took
