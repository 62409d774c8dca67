"""Space inside tables: what removed rows took stays in their table's file, and comes back in one of two ways.

New rows take it, once `vacuum` has noted it. Or the rows that are left are written anew, and the former file
goes; until then there are both, and the log of the new one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

__all__ = ["Space", "compact", "measure", "pages"]

# Of PostgreSQL's 8 KiB what is left of a page without its head, and what tells where a row begins.
PAGE, USABLE, POINTER = 8192, 8168, 4
LOCK_WAIT = "5s"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Space:
    """What a table takes with its indexes, in bytes, and how much of that its rows need.

    >>> Space("public.usage_event", taken=500, needed=400, rows=10).spare
    100
    """

    table: str
    taken: int
    needed: int
    rows: int

    @property
    def spare(self) -> int:
        """What new rows take before the table grows."""
        return self.taken - self.needed


def pages(rows: int, size: int) -> int:
    """Return how many pages so many rows fill that take `size` bytes together.

    >>> pages(100, 16_000), pages(0, 0)
    (2, 0)
    """
    if not rows:
        return 0
    fit = USABLE // (size / rows)
    # Of a row that is larger than a page the most lies beside the table.
    return ceil(rows / fit) if fit else ceil(size / PAGE)


def measure(engine: Engine, table: str) -> Space:
    """Return what a table takes and needs; it is read whole.

    Rows that were removed and not yet vacuumed count as gone. Indexes are taken to be as full as the table.
    """
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "select count(*) as rows, "  # noqa: S608  # our own names
                f"coalesce(sum((pg_column_size(t) + 7) / 8 * 8 + {POINTER}), 0) as bytes, "
                f"pg_relation_size('{table}') + coalesce((select pg_relation_size(nullif(reltoastrelid, 0)) "
                f"from pg_class where oid = cast('{table}' as regclass)), 0) as own, "
                f"pg_total_relation_size('{table}') as taken from {table} t"
            )
        ).one()
    filled = pages(found.rows, int(found.bytes)) * PAGE
    share = min(1.0, filled / found.own) if found.own else 1.0
    return Space(table, found.taken, ceil(found.taken * share), found.rows)


def compact(engine: Engine, spaces: Sequence[Space], room: Callable[[], int]) -> None:
    """Give back to the disk what removed rows took, table by table, or else let new rows take it.

    Arguments: `room` says how many bytes may be written now; a table whose rows need more is not written
    anew.
    """
    # The settings of the session go with it.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        connection.execute(text(f"set lock_timeout = '{LOCK_WAIT}'"))
        for space in spaces:
            # The copy, and as much again for its log.
            anew = ["vacuum (full, analyze)"] if 2 * space.needed <= room() else []
            for way in (*anew, "vacuum"):
                try:
                    connection.execute(text(f"{way} {space.table}"))
                    break
                except DBAPIError as error:
                    # Nothing is lost by it: what is spare is measured anew each time.
                    log.warning(
                        "%s cannot be made smaller now: %s", space.table, str(error.orig).strip()
                    )
